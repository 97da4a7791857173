"""Reads objects on Kubernetes: kinds, status, owners, pods. The lowest part of `bot.workloads`."""
