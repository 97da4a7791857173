"""Which tool shifts traffic for a workload, and how it is promoted."""
