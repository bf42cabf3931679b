"""Loaders of labelled mammograms in the layouts that research groups distribute."""
