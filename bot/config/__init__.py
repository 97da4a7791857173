"""Reads YAML and the environment into one frozen Settings, or into a list of every fault."""
