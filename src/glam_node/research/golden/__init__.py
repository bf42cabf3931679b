"""Comparison of this implementation with golden files of the published one."""
