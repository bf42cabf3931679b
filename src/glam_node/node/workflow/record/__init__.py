"""The record: events, audit messages, traces and alerts, and functions that other parts of the workflow share."""
