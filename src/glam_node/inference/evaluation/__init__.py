"""How good a model is on a labelled data set: numbers, curves and pictures; torch only in `glam_model`."""
