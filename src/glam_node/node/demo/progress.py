"""The wait of the demo for its studies, whose progress it reads from the database of its node."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from glam_node.node.db.engine import SessionFactory, database_url, open_database, reading
from glam_node.node.domain.words import counted
from glam_node.node.errors import PermanentError
from glam_node.node.workflow.operate.study_progress import Progress, progress_of

POLL_S = 0.1


@contextmanager
def open_demo_database(root: Path) -> Iterator[SessionFactory]:
    """Open the database of the node with this storage root for reading until the context ends."""
    sessions = open_database(database_url("", root))
    try:
        yield reading(sessions)
    finally:
        sessions.kw["bind"].dispose()


def wait_until_done(
    sessions: SessionFactory, study_instance_uids: Sequence[str], tell: Callable[[str], None], timeout_s: float
) -> list[Progress]:
    """Wait until all studies are finished, and return their progress.

    Args:
        sessions: Sessions of the database of the node.
        study_instance_uids: The studies.
        tell: A function that is called repeatedly with a line of text about the current step.
        timeout_s: Time limit in s.

    Raises:
        PermanentError: A study failed, or the time limit has passed.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        found = [progress_of(sessions, uid) for uid in study_instance_uids]
        known = [progress for progress in found if progress is not None]
        unfinished = [progress for progress in known if not progress.is_done]
        for progress in unfinished:
            if progress.failure:
                raise PermanentError(f"Study {progress.study.study_instance_uid}: {progress.failure}")
        if len(known) == len(study_instance_uids) and not unfinished:
            stored = sum(progress.stored for progress in known)
            tell(f"the archive stored {counted(stored, 'result')}")
            return known
        if unfinished:
            tell(f"study {len(known) - len(unfinished) + 1} of {len(study_instance_uids)}: {unfinished[0].step}")
        if time.monotonic() > deadline:
            raise PermanentError(f"The results did not arrive within {timeout_s:.0f} s.")
        time.sleep(POLL_S)
