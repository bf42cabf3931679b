"""What others call: associations, C-STORE and C-ECHO."""
