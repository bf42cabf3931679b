"""Chooses whom to kill, and when: at any time, or at a moment that is as bad as can be found."""

import time
from collections.abc import Callable
from pathlib import Path

from tests.torture.processes import role_of
from tests.torture.rig import Rig

LONGEST_WAIT_S = 2.0
LOOK_EVERY_S = 0.001
LONGEST_PAUSE_S = 3.0
KILLS_IN_A_ROW = 3
"""Then something has to move first: on a slow machine processes would be killed before they have begun."""


def kill_somebody(rig: Rig) -> None:
    """One process, now and then all at once, is gone and waits to be started again."""
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
    """The victim has just begun to make something final: a file has its name, its row or its answer may not be there.

    Not for ever: it may be idle.
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
    """How many there are; any depth."""
    return sum(1 for _ in directory.rglob("*"))
