"""Runs the programs of backup tools: on this machine, or as Jobs in a Kubernetes cluster."""
