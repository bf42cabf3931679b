"""GLAM: a global network that looks at the whole view, and a local one that looks closely where the first points."""
