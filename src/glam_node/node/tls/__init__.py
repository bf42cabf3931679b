"""TLS by the BCP 195 profiles of PS3.15: contexts that follow their files, and what certificates say."""
