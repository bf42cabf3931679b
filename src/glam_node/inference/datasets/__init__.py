"""Labelled mammograms as research groups distribute them."""
