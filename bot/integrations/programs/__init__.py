"""The programs of backup tools, run on this machine or as Kubernetes Jobs."""
