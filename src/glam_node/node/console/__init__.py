"""Pages, metrics and health over HTTP: what people and monitoring look at."""
