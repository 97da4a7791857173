"""Barman."""
