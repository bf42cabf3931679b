"""Celery as a doorbell that wakes workers; only the database decides which jobs there are."""
