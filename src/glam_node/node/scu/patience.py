"""How long a sender waits for the answer to an object: as long as the archive works on it, and not for ever."""

import queue
import time
from contextlib import suppress
from typing import Any

from pynetdicom.association import Association

ANSWER_PATIENCE = 10
"""How many times its timeout a peer may work on an object that it has as a whole."""
PROGRESS_EVERY_S = 0.1


def wait_patiently(association: Association, timeout: float) -> None:
    """Have what is asked on an association wait for its answer as long as the peer works on it.

    An archive that takes long over an object is not dead: `timeout` counts only while nothing more of the object goes
    out, and after its last byte the answer may take ANSWER_PATIENCE times as long. A host that is gone meanwhile is
    found out by TCP.
    """
    dimse, waiting = association.dimse, association.dul.to_provider_queue

    def answer(block: bool = False) -> Any:
        left, deadline = None, 0.0
        while block:
            unsent = waiting.qsize()
            if left is None or unsent < left:
                left, deadline = unsent, time.monotonic() + timeout * (1 if unsent else ANSWER_PATIENCE)
            elif time.monotonic() >= deadline:
                break
            with suppress(queue.Empty):
                return dimse.msg_queue.get(timeout=PROGRESS_EVERY_S)
        with suppress(queue.Empty):
            return dimse.msg_queue.get(block=False)
        return None, None

    dimse.get_msg = answer  # type: ignore[method-assign]
