"""Processes that are stopped for a while, and continue as if they still held jobs that others have taken over."""

from pathlib import Path

from glam_node.node.bootstrap import Node
from tests.torture.announcements import announce_unfinished
from tests.torture.killer import wait_for_a_bad_moment
from tests.torture.rig import NEEDS, Rig, is_full_length, torture

pytestmark = NEEDS

TIMES = 60 if is_full_length() else 4
LEASE_S, CLAIM_S = 3.0, 15.0
"""Lease of a job, as these tests set it, and claim of a delivery."""


def test_processes_that_were_frozen_longer_than_their_lease_do_nothing_twice(tmp_path: Path) -> None:
    with torture("frozen", tmp_path, workers=2, senders=2) as rig, rig.node() as node:
        victims = sorted(set(rig.tree.processes) - {"redis"})
        for number in range(TIMES):
            rig.tend(rig.random.uniform(0.1, 2.0))
            freeze(rig, node, "worker1" if number == 0 else rig.random.choice(victims))
        rig.assert_nothing_is_lost()


def freeze(rig: Rig, node: Node, victim: str) -> None:
    """Stop a process in the middle of its work until another process has taken over what it held."""
    wait_for_a_bad_moment(rig, victim)
    seconds = CLAIM_S + 3 if victim.startswith("sender") and is_full_length() else LEASE_S + 1
    rig.tree.note("freeze", name=victim, seconds=seconds)
    rig.tree.processes[victim].freeze()
    rig.tend(seconds)
    announce_unfinished(node, rig.redis_url, times=2)
    rig.tend(2.0)
    rig.tree.processes[victim].thaw()
