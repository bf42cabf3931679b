"""The web console: pages for people, and metrics and health checks for monitoring."""
