"""Celery, whose messages only wake workers; the database alone decides which jobs exist."""
