"""Helm, by its own program."""
