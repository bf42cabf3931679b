"""`glam-node analyse`"""


def analyse() -> None:
    """Not yet."""
