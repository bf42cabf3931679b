"""The processes of a node: signals and loops, nothing else."""
