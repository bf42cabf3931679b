"""Operation: requests of people, and the upkeep of the node (retention, recovery, backup)."""
