"""The language of `rules.NAME.when`, which is parsed and evaluated on the attributes of an image; it runs no code."""
