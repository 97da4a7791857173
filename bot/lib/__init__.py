"""What knows nothing of incidents: text, time, crypto, logs, metrics."""
