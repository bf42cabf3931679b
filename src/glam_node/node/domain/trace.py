"""A step of a study, as a span of a trace."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Span:
    """What took how long; the same step has the same ids, however often it is told."""

    name: str
    study_instance_uid: str
    """What the trace's id is derived from; it is not told itself."""
    key: str
    """Unique among the spans of a study."""
    parent_key: str
    """Empty: the root."""
    begin: datetime
    end: datetime
    attributes: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    failed: bool = False

    @property
    def trace_id(self) -> int:
        """128 bits."""
        return _number(16, "trace", self.study_instance_uid)

    @property
    def span_id(self) -> int:
        """64 bits."""
        return _number(8, "span", self.study_instance_uid, self.key)

    @property
    def parent_id(self) -> int | None:
        """64 bits; None for the root."""
        return _number(8, "span", self.study_instance_uid, self.parent_key) if self.parent_key else None


def _number(size: int, *parts: str) -> int:
    """Not 0, which is no id."""
    digest = hashlib.sha256("\0".join(("glam-node", *parts)).encode()).digest()
    return int.from_bytes(digest[:size], "big") or 1
