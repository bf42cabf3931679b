"""The settings of a node, which hospital IT writes; only this package imports pydantic."""
