"""Analysis: runs jobs, writes their results and queues the results for delivery."""
