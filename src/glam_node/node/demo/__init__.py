"""The demonstration: a simulated modality, a node and a small archive, for the first run."""
