"""GLAM trained from image-level labels alone: which breast has a benign, a malignant finding; never where."""
