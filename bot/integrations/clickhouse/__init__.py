"""ClickHouse: its own BACKUP and RESTORE, over its HTTP interface."""
