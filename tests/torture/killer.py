"""Choice of the process to kill and of the moment, which is random or as bad as possible."""

import time
from collections.abc import Callable
from pathlib import Path

from tests.torture.processes import role_of
from tests.torture.rig import Rig

LONGEST_WAIT_S = 2.0
LOOK_EVERY_S = 0.001
LONGEST_PAUSE_S = 3.0
KILLS_IN_A_ROW = 3
"""Number of kills after which progress is required: on a slow machine, processes would die before they work."""


def kill_somebody(rig: Rig) -> None:
    """Kill one process, rarely all at once; they stay dead until they are started again."""
    if rig.tree.kills.total() % KILLS_IN_A_ROW == 0:
        rig.until_something_moves()
    rig.tend(rig.random.uniform(0.1, LONGEST_PAUSE_S))
    everybody = sorted(rig.tree.processes)
    if rig.random.random() < 0.03:
        for name in everybody:
            rig.tree.kill(name)
        return
    victim = rig.random.choice(everybody)
    if rig.random.random() < 0.5:
        wait_for_a_bad_moment(rig, victim)
    if victim == "receiver" and rig.random.random() < 0.5:
        rig.tree.kill_child(victim)
    else:
        rig.tree.kill(victim)


def wait_for_a_bad_moment(rig: Rig, victim: str) -> None:
    """Wait until the process begins to commit something: a file exists, but its row or answer may be missing.

    The wait is limited, since the process may be idle.
    """
    signs: dict[str, Callable[[], int]] = {
        "receiver": lambda: files_under(rig.directory / "storage" / "instances"),
        "worker": lambda: files_under(rig.directory / "storage" / "results"),
        "sender": lambda: int(rig.archive.get("/statistics")["CountInstances"]),
    }
    sign = signs.get(role_of(victim), lambda: 0)
    before, deadline = sign(), time.monotonic() + LONGEST_WAIT_S
    while sign() == before and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_S)
    time.sleep(rig.random.uniform(0, 0.01))


def files_under(directory: Path) -> int:
    """Return the number of files and directories below a directory."""
    return sum(1 for _ in directory.rglob("*"))
