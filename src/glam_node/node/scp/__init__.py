"""The receiver: associations that peers open, and the services C-STORE, C-ECHO and storage commitment."""
