"""What was refused goes on record, once in a while: a port scan must not fill the database."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from glam_node.node.db import audit
from glam_node.node.db.writer import Writer
from glam_node.node.errors import NodeError

log = structlog.get_logger(__name__)

EVERY = timedelta(minutes=1)
REMEMBERED = 1000
_SAME = ("calling_ae_title", "address", "reason", "sop_instance_uid")


class Refusals:
    """Records each refusal unless the same one was recorded within the last minute."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._lock = threading.Lock()
        self._recorded: dict[tuple[object, ...], datetime] = {}

    def record(self, event: str, detail: dict[str, Any]) -> None:
        """The refusal is in the audit trail, or was a moment ago; never raises for a database that is away."""
        now = datetime.now(UTC)
        if not self._is_news((event, *[detail.get(key) for key in _SAME]), now):
            return
        try:
            self._writer.submit(lambda session: audit.record(session, event, now, **detail))
        except NodeError as error:
            log.error("refusal_not_recorded", refused=event, failure=str(error))

    def _is_news(self, refusal: tuple[object, ...], now: datetime) -> bool:
        with self._lock:
            last = self._recorded.get(refusal)
            if last is not None and now - last < EVERY:
                return False
            if len(self._recorded) >= REMEMBERED:
                self._recorded = {known: at for known, at in self._recorded.items() if now - at < EVERY}
            if len(self._recorded) < REMEMBERED:
                self._recorded[refusal] = now
            return len(self._recorded) < REMEMBERED
