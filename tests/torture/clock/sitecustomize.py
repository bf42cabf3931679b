"""Python runs this at the start of every process that has this folder on its path: its clock follows a file's word."""

import os
import threading
import time
from pathlib import Path

import time_machine

CLOCK_FILE = "GLAM_NODE_TEST_CLOCK"
"""Environment variable: a file that says by how many seconds the clock of the host is wrong at the moment."""
LOOK_EVERY_S = 0.02


def follow(path: Path) -> None:
    """Dates and times jump whenever the file says something else; what measures durations goes on."""
    traveller = time_machine.travel(time.time(), tick=True).start()

    def run() -> None:
        wrong_by = 0.0
        while True:
            said = float(path.read_text())
            if said != wrong_by:
                traveller.shift(said - wrong_by)
                wrong_by = said
            time.sleep(LOOK_EVERY_S)

    threading.Thread(target=run, name="clock", daemon=True).start()


if CLOCK_FILE in os.environ:
    follow(Path(os.environ[CLOCK_FILE]))
