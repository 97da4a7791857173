"""Promote, abort, pause and the other verbs of Argo Rollouts."""
