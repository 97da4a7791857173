"""The only SQL: tables, migrations, and the two kinds of transaction (`Store.begin` writes, `Store.read` reads)."""
