"""WAL-G."""
