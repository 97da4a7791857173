"""CloudNativePG: PostgreSQL clusters in Kubernetes, and their backups by the Barman Cloud plug-in or as snapshots."""
