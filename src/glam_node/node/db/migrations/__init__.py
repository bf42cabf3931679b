"""Alembic's migrations of the schema, from the first version to that of `tables`."""
