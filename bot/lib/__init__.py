"""General helpers that know nothing of incidents: text, time, crypto, logs, metrics."""
