"""What the node knows, as plain data; standard library only."""
