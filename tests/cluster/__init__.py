"""One suite for any cluster: against the strict fake by itself, against a real one with `make test-cluster`."""
