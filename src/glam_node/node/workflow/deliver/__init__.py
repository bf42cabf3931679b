"""Delivery: sends results to their destinations, and storage commitment in both directions."""
