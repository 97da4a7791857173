"""The only SQL: tables, migrations, and the two ways in (`Store.begin` to write, `Store.read` to look)."""
