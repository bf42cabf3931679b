"""Logs and metrics of a running node, without patients' names, IDs and birth dates."""
