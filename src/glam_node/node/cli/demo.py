"""`glam-node demo`"""


def demo() -> None:
    """Not yet."""
