"""Durable files of instances, findings and results under one root."""
