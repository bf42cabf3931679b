"""GLAM written down plainly, in float32 and step by step: what the product is compared with, and timed against."""
