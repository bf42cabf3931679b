"""The processes of a node: their start, signals, loops and end; the work itself is in other packages."""
