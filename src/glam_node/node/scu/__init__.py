"""What we ask of others: store results, verify."""
