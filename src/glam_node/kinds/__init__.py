"""Kinds of mammography image: one table decides which images are screening views, for the node and for programs."""
