"""The work of the node, one task per module: functions over plain data and an open database session."""
