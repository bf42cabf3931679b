"""The models that can be trained and evaluated: GLAM, its baselines, and a brightness threshold."""
