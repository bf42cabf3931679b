"""An archive that cannot be reached until the end."""

from pathlib import Path

from tests.torture.rig import NEEDS, is_full_length, torture

pytestmark = NEEDS

AWAY_S = 120.0 if is_full_length() else 5.0
KILLS = 20 if is_full_length() else 2


def test_an_archive_that_was_away_the_whole_time_gets_every_result_once(tmp_path: Path) -> None:
    with torture("archive away", tmp_path) as rig:
        rig.archive.stop()
        for _ in range(KILLS):
            rig.tend(AWAY_S / KILLS)
            rig.tree.kill("sender1")
        rig.tend(2.0)
        rig.archive.start()
        rig.assert_nothing_is_lost()
