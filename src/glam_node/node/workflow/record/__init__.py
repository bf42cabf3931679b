"""The record: events, audit messages, traces and alerts, and what the other rooms share to keep it."""
