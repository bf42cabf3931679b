"""Values and decisions of the node as plain data, without access to a database, a network or files."""
