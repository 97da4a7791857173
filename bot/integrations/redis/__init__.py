"""Redis and Valkey: their RDB files as backups, and a server of our own to load them."""
