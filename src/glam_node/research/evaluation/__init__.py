"""Evaluation of models on a labelled data set, with numbers, curves and pictures."""
