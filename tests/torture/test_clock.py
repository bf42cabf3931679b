"""A host clock that jumps hours ahead and back, while processes are killed."""

import os
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, select

from glam_node.node.bootstrap import Node
from glam_node.node.db.tables import EventRow
from tests.torture.rig import NEEDS, is_full_length, torture

pytestmark = NEEDS

JUMPS = 60 if is_full_length() else 5
FURTHEST_S = 36 * 3600
LEAST_SPAN = timedelta(hours=2)


def jump(clock: Path, seconds: float) -> None:
    """Set the error of the clock."""
    part = clock.with_suffix(".part")
    part.write_text(str(seconds))
    part.replace(clock)


def span_of_events(node: Node) -> timedelta:
    """Return the span from the earliest recorded time to the latest."""
    with node.sessions() as session:
        first, last = session.execute(select(func.min(EventRow.at), func.max(EventRow.at))).one()
    return last - first


def test_a_clock_that_jumps_again_and_again_loses_nothing_and_holds_nothing_up(tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    jump(clock, 0)
    product = os.environ.get("PYTHONPATH", "")
    environment = {
        "GLAM_NODE_TEST_CLOCK": str(clock),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent / "clock"), *([product] if product else [])]),
        # A jump of the clock does not make an incomplete study complete.
        "GLAM_NODE__ASSEMBLY__QUIET_TIME": "1000000",
        "GLAM_NODE__ASSEMBLY__MAXIMUM_AGE": "1000000",
    }
    with torture("clock", tmp_path, workers=2, modalities=2, environment=environment) as rig:
        for number in range(JUMPS):
            rig.tend(rig.random.uniform(0.5, 3.0))
            far = number == 0
            seconds = (FURTHEST_S if far else rig.random.choice((0, 61, 3600, FURTHEST_S))) * rig.random.choice((-1, 1))
            rig.tree.note("jump", seconds=seconds)
            jump(clock, seconds)
            if number % 3 == 2:
                rig.tree.kill(rig.random.choice(sorted(rig.tree.processes)))
        rig.tend(0)
        rig.assert_nothing_is_lost()
        with rig.node() as node:
            assert span_of_events(node) > LEAST_SPAN, "the clock did not jump"
