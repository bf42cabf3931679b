"""TLS: contexts from files and the contents of certificates."""
