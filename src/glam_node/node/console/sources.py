"""The state of the sources on the page of destinations: their last answers, and the progress of backfills."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from glam_node.node.db import audit, backfill
from glam_node.node.domain.backfill import BackfillState
from glam_node.node.domain.event import Event, EventKind
from glam_node.settings.sources import SourceSettings

_LOOKED_AT = 200
"""Number of the newest events to search for those of a source."""


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """The current state of one source."""

    name: str
    settings: SourceSettings
    last_answer: datetime | None
    """The time of the last query or request by a person that the archive answered."""
    last_failure: str
    last_failure_at: datetime | None
    backfill: dict[BackfillState, int]
    """Number of studies of backfills by their state."""
    backfill_changed_at: datetime | None

    @property
    def fails(self) -> bool:
        """Whether the last known request failed."""
        failed, answered = self.last_failure_at, self.last_answer
        return failed is not None and (answered is None or failed >= answered)

    @property
    def waiting(self) -> int:
        """The number of studies that a backfill has still to fetch."""
        return self.backfill.get(BackfillState.WAITING, 0)

    @property
    def fetched(self) -> int:
        """The number of studies that backfills have fetched."""
        return self.backfill.get(BackfillState.FETCHED, 0)

    @property
    def failed(self) -> int:
        """The number of studies that backfills could not fetch."""
        return self.backfill.get(BackfillState.FAILED, 0)


def facts(session: Session, configured: dict[str, SourceSettings]) -> list[SourceFacts]:
    """Return the state of every configured source, in that order."""
    if not configured:
        return []
    kinds = (EventKind.SOURCE_QUERIED, EventKind.SOURCE_ASKED_TO_SEND)
    events = [event for kind in kinds for event in audit.recent(session, kind, _LOOKED_AT)]
    progress = backfill.progress(session)
    return [_facts(name, one, events, progress.get(name)) for name, one in configured.items()]


def _facts(name: str, settings: SourceSettings, events: list[Event], progress: backfill.Progress | None) -> SourceFacts:
    own = sorted((one for one in events if one.detail.get("source") == name), key=lambda one: one.at)
    failed = [one for one in own if one.detail.get("failure")]
    return SourceFacts(
        name,
        settings,
        max((one.at for one in own if not one.detail.get("failure")), default=None),
        failed[-1].detail["failure"] if failed else "",
        failed[-1].at if failed else None,
        dict(progress.counts) if progress is not None else {},
        progress.changed_at if progress is not None else None,
    )
