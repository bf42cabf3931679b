"""Clients of other systems: archives, web servers, mail servers, and collectors of audit messages and traces."""
