"""Revisions of the schema, one per file."""
