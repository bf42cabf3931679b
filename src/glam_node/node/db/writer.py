"""Writer thread, one per process, that commits all waiting changes in one transaction."""

import itertools
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from glam_node.node.db.engine import SessionFactory
from glam_node.node.errors import PermanentError, TransientError

S = TypeVar("S")
T = TypeVar("T")
GROUP = 64


ApplyAll = Callable[[Session, Sequence[Any]], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class _Change:
    apply_all: ApplyAll
    what: Any
    outcome: Future[Any] = field(default_factory=Future)


class Writer:
    """Thread that commits changes in groups; a change that fails does not affect the others in its group."""

    def __init__(self, sessions: SessionFactory) -> None:
        self._sessions = sessions
        self._changes: queue.SimpleQueue[_Change | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="database-writer", daemon=True)
        self._thread.start()

    def submit(self, change: Callable[[Session], T]) -> T:
        """Apply one change, wait until it is committed and return its result.

        Args:
            change: A function that changes nothing except the session; it is called again if another change of its
                group has failed.

        Raises:
            TransientError: The writer is stopping, or the database failed.
            PermanentError: The database rejected the data.
            Exception: Any error that `change` raised.
        """
        result: T = self._submit(_each, change)
        return result

    def submit_one_of(self, apply_all: Callable[[Session, Sequence[S]], Sequence[T]], what: S) -> T:
        """Apply the change `what` with others that wait for the same `apply_all`; return its result once committed.

        Args:
            apply_all: A function that applies many changes at once and returns a result for each, in the same order;
                the same restrictions and errors as in `submit` apply.
            what: The change.
        """
        result: T = self._submit(apply_all, what)
        return result

    def _submit(self, apply_all: ApplyAll, what: Any) -> Any:
        waiting = _Change(apply_all, what)
        with self._lock:
            if self._stopped:
                raise TransientError("The node is stopping and writes no more to the database. Try again later.")
            self._changes.put(waiting)
        return waiting.outcome.result()

    def stop(self) -> None:
        """Commit all submitted changes and end the thread."""
        with self._lock:
            self._stopped = True
            self._changes.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._changes.get()) is not None:
            group = [first]
            ending = self._gather(group)
            self._commit(group)
            if ending:
                return

    def _gather(self, group: list[_Change]) -> bool:
        while len(group) < GROUP:
            try:
                change = self._changes.get_nowait()
            except queue.Empty:
                return False
            if change is None:
                return True
            group.append(change)
        return False

    def _commit(self, group: Sequence[_Change]) -> None:
        try:
            with self._sessions.begin() as session:
                results = [result for alike in _alike(group) for result in _applied(session, alike)]
        except Exception as error:
            if len(group) == 1:
                group[0].outcome.set_exception(_translated(error))
                return
            for change in group:
                self._commit([change])
        else:
            for change, result in zip(group, results, strict=True):
                change.outcome.set_result(result)


def _alike(group: Sequence[_Change]) -> Iterator[list[_Change]]:
    """Yield runs of consecutive changes that one call can apply."""
    for _, alike in itertools.groupby(group, key=lambda change: change.apply_all):
        yield list(alike)


def _applied(session: Session, alike: Sequence[_Change]) -> Sequence[Any]:
    return alike[0].apply_all(session, [change.what for change in alike])


def _each(session: Session, changes: Sequence[Callable[[Session], Any]]) -> list[Any]:
    """Apply changes one by one, and flush each, so that a row that the database refuses fails only its own change."""
    results = []
    for change in changes:
        results.append(change(session))
        session.flush()
    return results


def _translated(error: Exception) -> Exception:
    if not isinstance(error, SQLAlchemyError):
        return error
    kind = PermanentError if isinstance(error, IntegrityError | DataError) else TransientError
    return kind(f"The database rejected a change ({type(error).__name__}). Check database_url and the database's disk.")
