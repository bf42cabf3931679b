"""What hospital IT configures; knows nothing of the node or of inference, and is the only importer of pydantic."""
