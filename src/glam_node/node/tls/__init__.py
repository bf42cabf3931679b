"""TLS contexts that are built from files, and the contents of certificates."""
