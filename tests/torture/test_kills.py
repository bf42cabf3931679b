"""Every process is killed at random moments, again and again; nothing that was answered is lost, nothing doubled."""

from pathlib import Path

from tests.torture.rig import NEEDS, is_full_length, torture

pytestmark = NEEDS

KILLS = 200 if is_full_length() else 12


def test_whatever_is_killed_nothing_is_lost_and_nothing_comes_twice(tmp_path: Path) -> None:
    with torture("kills", tmp_path) as rig:
        victims = sorted(rig.tree.processes)
        while rig.tree.kills.total() < KILLS:
            rig.tend(rig.random.uniform(0.1, 3.0))
            rig.tree.kill(rig.random.choice(victims))
        rig.tend(0)
        rig.assert_nothing_is_lost()
