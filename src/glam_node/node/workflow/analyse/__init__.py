"""Analysis: runs jobs, writes their results and queues these for delivery."""
