"""Rolls a workload back to an older revision, through the tool that manages it: Kubernetes, Argo CD or Helm."""
