"""Alembic's directory: how the schema came to be what `tables` says."""
