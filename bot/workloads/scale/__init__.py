"""Scales a workload, by its own count or through its autoscaler, within limits."""
