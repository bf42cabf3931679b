"""Database of the node: SQLite on a local disk by default, PostgreSQL for several hosts."""
