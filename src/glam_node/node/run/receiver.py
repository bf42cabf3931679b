"""The receiver: listens, keeps what arrives, and says so when it is kept."""

from glam_node.node.run.process import Running, main


def run(running: Running) -> None:
    """Receive until asked to stop."""


if __name__ == "__main__":
    main("receiver", run)
