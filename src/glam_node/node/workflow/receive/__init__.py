"""Receiving: instances are stored durably before C-STORE is answered, and refusals are recorded."""
