"""Argo Rollouts: promote, abort, retry, pause and resume, and how a rollout is described."""
