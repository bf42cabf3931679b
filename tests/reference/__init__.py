"""GLAM implemented plainly, in float32 and step by step, as the reference for results and speed."""
