"""Spans: the processing steps of a study as parts of a trace (OpenTelemetry)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Span:
    """Processing step of a study; its IDs are derived from its key, so that they stay the same if it is sent twice."""

    name: str
    study_instance_uid: str
    """UID from which the IDs are derived; it is not sent itself."""
    key: str
    """Key that is unique among the spans of a study."""
    parent_key: str
    """Key of the parent span; empty for the root."""
    begin: datetime
    end: datetime
    attributes: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    failed: bool = False

    @property
    def trace_id(self) -> int:
        """Trace ID of 128 bits."""
        return _number(16, "trace", self.study_instance_uid)

    @property
    def span_id(self) -> int:
        """Span ID of 64 bits."""
        return _number(8, "span", self.study_instance_uid, self.key)

    @property
    def parent_id(self) -> int | None:
        """Span ID of the parent, of 64 bits; None for the root."""
        return _number(8, "span", self.study_instance_uid, self.parent_key) if self.parent_key else None


def _number(size: int, *parts: str) -> int:
    """Return a number of `size` bytes derived from `parts`; never 0, which is not a valid ID."""
    digest = hashlib.sha256("\0".join(("glam-node", *parts)).encode()).digest()
    return int.from_bytes(digest[:size], "big") or 1
