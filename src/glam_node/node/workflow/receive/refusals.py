"""Log lines and events about refusals, at a limited rate: a port scan must fill neither the disk nor the database."""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from glam_node.node.db import audit
from glam_node.node.db.writer import Writer
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.errors import NodeError

log = structlog.get_logger(__name__)

EVERY = timedelta(minutes=1)
REMEMBERED = 100
SAME = ("calling_ae_title", "address", "reason", "sop_instance_uid")
"""Details by which two refusals are the same."""


@dataclass(slots=True)
class _Recorded:
    at: datetime
    repeated: int = 0


class Refusals:
    """Recorder of refusals: the same refusal once a minute, and at most 100 different ones a minute.

    The event of a refusal states how often it was `repeated` since its last event, and how many other refusals were
    left out (`unlisted`).
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._lock = threading.Lock()
        self._recorded: dict[tuple[object, ...], _Recorded] = {}
        self._unlisted = 0

    def record(self, kind: EventKind, detail: EventDetail, now: datetime | None = None) -> None:
        """Log and record a refusal, or count it; if the database cannot be reached, log that and raise no error."""
        now = now or datetime.now(UTC)
        counts = self._counted((kind, *map(detail.get, SAME)), now)
        if counts is None:
            return
        whole: EventDetail = {**detail, **counts}
        log.warning(str(kind), **whole)
        try:
            self._writer.submit(lambda session: audit.record(session, kind, now, **whole))
        except NodeError as error:
            log.error("refusal_not_recorded", refused=str(kind), failure=str(error))

    def _counted(self, refusal: tuple[object, ...], now: datetime) -> EventDetail | None:
        """Return the counts of refusals left out before this one; None if this one is also to be left out."""
        with self._lock:
            last = self._recorded.get(refusal)
            if last is not None and now - last.at < EVERY:
                last.repeated += 1
                return None
            if last is None and not self._has_room(now):
                self._unlisted += 1
                return None
            counts = EventDetail(repeated=last.repeated) if last and last.repeated else EventDetail()
            if self._unlisted:
                counts["unlisted"] = self._unlisted
            self._recorded[refusal] = _Recorded(now)
            self._unlisted = 0
        return counts

    def _has_room(self, now: datetime) -> bool:
        if len(self._recorded) >= REMEMBERED:
            past = [known for known, recorded in self._recorded.items() if now - recorded.at >= EVERY]
            self._unlisted += sum(self._recorded.pop(known).repeated for known in past)
        return len(self._recorded) < REMEMBERED
