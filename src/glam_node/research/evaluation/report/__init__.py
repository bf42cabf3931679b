"""Report of an evaluation: HTML, tables, curves, pictures and files for other programs."""
