"""The language of [rules.NAME] when: text in, a tree out, true or false of what an image says; it runs no code."""
