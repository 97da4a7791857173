"""clickhouse-backup by Altinity, over its REST API."""
