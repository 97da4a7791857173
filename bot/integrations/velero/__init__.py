"""Velero: backups of Kubernetes namespaces and their volumes."""
