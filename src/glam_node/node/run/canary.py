"""The canaries of the dispatcher: a thread that sends and judges them."""

from datetime import UTC, datetime

from glam_node.node.bootstrap import database_trouble
from glam_node.node.bootstrap.canary import canaries
from glam_node.node.run.process import Running, repeat

INTERVAL_S = 1.0


def keep_canaries(running: Running) -> None:
    """Send and judge canaries until asked to stop."""
    own = canaries(running.node)

    def step() -> None:
        with database_trouble(running.settings):
            own.step(datetime.now(UTC))

    repeat(step, every_s=INTERVAL_S, stop=running.stop)
