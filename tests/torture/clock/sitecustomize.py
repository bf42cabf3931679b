"""Module that Python imports at the start of each process with this folder on its path; a file sets its clock."""

import os
import threading
import time
from pathlib import Path

import time_machine

CLOCK_FILE = "GLAM_NODE_TEST_CLOCK"
"""Environment variable with the path of a file that contains the error of the clock in seconds."""
LOOK_EVERY_S = 0.02


def follow(path: Path) -> None:
    """Shift dates and times whenever the content of the file changes; monotonic clocks are not affected."""
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
