"""Celery: the doorbell that tells workers of jobs. The database is the truth."""
