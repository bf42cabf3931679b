"""Measures of models on labelled views."""
