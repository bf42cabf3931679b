"""Mammogram in, findings out: no network, no database, no queue; torch only in `glam`."""
