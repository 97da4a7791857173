"""Kubernetes clusters, and Flagger in them."""
