"""YAML and the environment, read to one frozen Settings or to a list of every fault."""
