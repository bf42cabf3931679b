"""Audit events about refusals, at a limited rate: a port scan must not fill the database."""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from glam_node.node.db import audit
from glam_node.node.db.writer import Writer
from glam_node.node.errors import NodeError

log = structlog.get_logger(__name__)

EVERY = timedelta(minutes=1)
REMEMBERED = 100
_SAME = ("calling_ae_title", "address", "reason", "sop_instance_uid")


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

    def record(self, event: str, detail: dict[str, Any], now: datetime | None = None) -> None:
        """Record or count a refusal; if the database cannot be reached, log that and raise no error."""
        now = now or datetime.now(UTC)
        counts = self._counted((event, *[detail.get(key) for key in _SAME]), now)
        if counts is None:
            return
        try:
            self._writer.submit(lambda session: audit.record(session, event, now, **detail, **counts))
        except NodeError as error:
            log.error("refusal_not_recorded", refused=event, failure=str(error))

    def _counted(self, refusal: tuple[object, ...], now: datetime) -> dict[str, Any] | None:
        """Return the counts of refusals left out before this one; None when this one is to be left out, too."""
        with self._lock:
            last = self._recorded.get(refusal)
            if last is not None and now - last.at < EVERY:
                last.repeated += 1
                return None
            if last is None and not self._has_room(now):
                self._unlisted += 1
                return None
            counts = {"repeated": last.repeated if last else 0, "unlisted": self._unlisted}
            self._recorded[refusal] = _Recorded(now)
            self._unlisted = 0
        return {name: count for name, count in counts.items() if count}

    def _has_room(self, now: datetime) -> bool:
        if len(self._recorded) >= REMEMBERED:
            past = [known for known, recorded in self._recorded.items() if now - recorded.at >= EVERY]
            self._unlisted += sum(self._recorded.pop(known).repeated for known in past)
        return len(self._recorded) < REMEMBERED
