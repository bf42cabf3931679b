"""Training of GLAM from image-level labels: whether a breast has benign or malignant findings, not where they are."""
