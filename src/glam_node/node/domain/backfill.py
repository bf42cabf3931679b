"""Backfill: the fetching of many earlier studies, at a limited load and within allowed hours."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum

from glam_node.node.domain.archived import ArchivedStudy


class BackfillState(StrEnum):
    """State of a study in a backfill; the values are stored in the database and stay the same."""

    WAITING = "WAITING"
    """The study is still to be fetched."""
    FETCHED = "FETCHED"
    """The node has every instance that the archive lists."""
    FAILED = "FAILED"
    """The study could not be fetched; the next run tries again."""


@dataclass(frozen=True, slots=True)
class BackfillStudy:
    """Study of a backfill."""

    study: ArchivedStudy
    state: BackfillState
    failure: str = ""
    """Reason why the study could not be fetched, in words."""


@dataclass(frozen=True, slots=True)
class BackfillLimits:
    """Limits of the load on archive and node."""

    hours: tuple[time, time] | None = None
    """Begin and end of the time of day in which studies are fetched, in local time; None for all day."""
    at_once: int = 1
    """Number of studies that are fetched at the same time."""
    per_hour: int = 60
    """Number of studies that are fetched in an hour."""
    unfinished: int = 20
    """Number of fetched studies that may wait for their analysis."""

    @property
    def interval(self) -> timedelta:
        """The time between the starts of two studies."""
        return timedelta(hours=1) / self.per_hour

    def allows(self, now: datetime) -> bool:
        """Return whether studies may be fetched at this time of day, given in local time."""
        if self.hours is None:
            return True
        begin, end = self.hours
        if begin <= end:
            return begin <= now.time() < end
        return now.time() >= begin or now.time() < end

    def next_begin(self, now: datetime) -> datetime:
        """Return when fetching is allowed again, if it is not allowed now, in local time."""
        assert self.hours is not None  # noqa: S101 - otherwise it is always allowed
        begins = datetime.combine(now.date(), self.hours[0], now.tzinfo)
        return begins if begins > now else begins + timedelta(days=1)
