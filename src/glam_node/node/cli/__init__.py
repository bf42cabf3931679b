"""The command line `glam-node`: one command per file; what is slow to import is imported inside commands."""
