"""The whole of `glam-node serve` is killed repeatedly, as by a power cut that does not damage the disk."""

from pathlib import Path

from tests.torture.rig import NEEDS, is_full_length, torture_of_a_whole_node

pytestmark = NEEDS

KILLS = 40 if is_full_length() else 2


def test_a_node_that_is_killed_outright_again_and_again_loses_nothing(tmp_path: Path) -> None:
    with torture_of_a_whole_node("serve killed", tmp_path) as rig:
        for _ in range(KILLS):
            rig.tend(rig.random.uniform(1.0, 8.0))
            rig.tree.kill("serve")
        rig.tend(0)
        rig.assert_nothing_is_lost()
