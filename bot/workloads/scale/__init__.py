"""To another number of replicas, within limits and capacity."""
