"""What is known of workloads: rules in tables, and looks at a fake cluster."""
