"""PostgreSQL: archives of pg_dump judged, restored beside, checked, and cut over to."""
