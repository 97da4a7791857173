"""Back to an older version, through the tool that manages the workload."""
