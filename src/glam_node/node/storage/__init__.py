"""Where instances, findings and results are kept: durable files under one root."""
