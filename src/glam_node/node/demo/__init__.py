"""A simulated modality, a small archive and a node between them, for the first run."""
