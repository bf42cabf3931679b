"""The truth: SQLite (WAL, FULL) on a local disk by default, PostgreSQL across hosts."""
