"""What an operator can see of a running node; names, ids and birth dates never."""
