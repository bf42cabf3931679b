"""Operation: operators' requests, and the upkeep of the node (retention, recovery, backup)."""
