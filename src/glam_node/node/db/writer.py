"""One thread per process writes to the database and commits what waits in one go."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from glam_node.node.db.engine import SessionFactory
from glam_node.node.errors import NodeError, PermanentError, TransientError

T = TypeVar("T")
GROUP = 64
Change = tuple[Callable[[Session], Any], "Future[Any]"]


class Writer:
    """Changes in groups: each is committed with its neighbours, and one that fails harms no other."""

    def __init__(self, sessions: SessionFactory) -> None:
        self._sessions = sessions
        self._changes: queue.SimpleQueue[Change | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="database-writer", daemon=True)
        self._thread.start()

    def submit(self, change: Callable[[Session], T]) -> T:
        """What `change` returned, once committed. Raises TransientError, PermanentError or what `change` raised."""
        outcome: Future[T] = Future()
        self._changes.put((change, outcome))
        return outcome.result()

    def stop(self) -> None:
        """All that was submitted is committed and the thread has ended."""
        self._changes.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._changes.get()) is not None:
            group = [first]
            ending = self._gather(group)
            self._commit(group)
            if ending:
                return

    def _gather(self, group: list[Change]) -> bool:
        while len(group) < GROUP:
            try:
                change = self._changes.get_nowait()
            except queue.Empty:
                return False
            if change is None:
                return True
            group.append(change)
        return False

    def _commit(self, group: list[Change]) -> None:
        done: list[tuple[Future[Any], Any]] = []
        try:
            with self._sessions.begin() as session:
                for change, outcome in group:
                    self._apply(session, change, outcome, done)
        except Exception as error:
            for outcome, _ in done:
                outcome.set_exception(_translated(error))
            for _, outcome in group:
                if not outcome.done():
                    outcome.set_exception(_translated(error))
            return
        for outcome, result in done:
            outcome.set_result(result)

    def _apply(
        self,
        session: Session,
        change: Callable[[Session], Any],
        outcome: "Future[Any]",
        done: list[tuple["Future[Any]", Any]],
    ) -> None:
        savepoint = session.begin_nested()
        try:
            result = change(session)
            savepoint.commit()
        except (IntegrityError, NodeError, ValueError, KeyError) as error:
            savepoint.rollback()
            outcome.set_exception(_translated(error))
        else:
            done.append((outcome, result))


def _translated(error: Exception) -> Exception:
    if isinstance(error, NodeError) or not isinstance(error, SQLAlchemyError):
        return error
    kind = PermanentError if isinstance(error, IntegrityError) else TransientError
    return kind(f"the database did not take a change ({type(error).__name__}). Check database_url and its disk.")
