"""Every process is killed at random moments: nothing that was acknowledged is lost, and nothing is duplicated."""

from pathlib import Path

from tests.torture.killer import kill_somebody
from tests.torture.rig import NEEDS, is_full_length, torture

pytestmark = NEEDS

KILLS = 200 if is_full_length() else 8


def test_no_kill_loses_or_doubles_a_result(tmp_path: Path) -> None:
    with torture("kills", tmp_path) as rig:
        while rig.tree.kills.total() < KILLS:
            kill_somebody(rig)
        rig.tend(0)
        rig.assert_nothing_is_lost()
