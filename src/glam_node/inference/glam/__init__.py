"""GLAM: a global network reads the whole view, and a local network reads the patches that the global one chooses."""
