"""One verb per file, over plain data and one open session."""
