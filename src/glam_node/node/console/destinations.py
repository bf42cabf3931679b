"""The page of destinations: what waits for each, since when, and how it went last."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from glam_node.node.console.rendering import Screens
from glam_node.node.db import audit, backlog, deliveries
from glam_node.node.domain.delivery import DeliveryState
from glam_node.settings.destinations import DestinationSettings

FAILURES = ("result_failed", "delivery_abandoned")
_LOOKED_AT = 300
"""Events of each kind; an older failure is no news."""


@dataclass(frozen=True, slots=True)
class DestinationFacts:
    """One destination at this moment."""

    name: str
    settings: DestinationSettings | None
    """None: results wait for it, and the settings name it no more."""
    counts: dict[DeliveryState, int]
    oldest: datetime | None
    next_attempt_at: datetime | None
    last_success: datetime | None
    last_failure: str
    last_failure_at: datetime | None

    @property
    def pending(self) -> int:
        """How many results wait."""
        return self.counts.get(DeliveryState.PENDING, 0)

    @property
    def abandoned(self) -> int:
        """How many were given up, until a person acts."""
        return self.counts.get(DeliveryState.ABANDONED, 0)

    @property
    def delivered(self) -> int:
        """How many it has."""
        return sum(self.counts.get(state, 0) for state in (DeliveryState.STORED, DeliveryState.COMMITTED))

    @property
    def fails(self) -> bool:
        """Whether the last thing that is known of it is a failure."""
        failed, succeeded = self.last_failure_at, self.last_success
        return failed is not None and (succeeded is None or failed >= succeeded)


def page(screens: Screens, request: Request) -> Response:
    """All destinations of the settings, and those for which something waits."""
    with screens.sessions() as session:
        found = facts(session, screens.node.settings.destinations)
    return screens.render(request, "destinations", destinations=found)


def facts(session: Session, configured: dict[str, DestinationSettings]) -> list[DestinationFacts]:
    """Of every destination that is configured, in that order, then of those with a backlog."""
    counts: dict[str, dict[DeliveryState, int]] = {}
    for (name, state), count in deliveries.counts(session).items():
        counts.setdefault(name, {})[state] = count
    waiting = backlog.pending_deliveries(session)
    stored = backlog.last_stored(session, {*configured, *waiting})
    failures = _last_failures(session)
    left = [name for name in sorted(counts) if name not in configured and name in waiting]
    return [
        DestinationFacts(
            name=name,
            settings=configured.get(name),
            counts=counts.get(name, {}),
            oldest=waiting[name].oldest if name in waiting else None,
            next_attempt_at=waiting[name].next_attempt_at if name in waiting else None,
            last_success=stored.get(name),
            last_failure=failures[name]["failure"] if name in failures else "",
            last_failure_at=failures[name]["at"] if name in failures else None,
        )
        for name in [*configured, *left]
    ]


def _last_failures(session: Session) -> dict[str, dict[str, Any]]:
    """By destination, the newest failure on record."""
    told = [event for kind in FAILURES for event in audit.recent(session, kind, _LOOKED_AT)]
    newest: dict[str, dict[str, Any]] = {}
    for event in sorted(told, key=lambda event: event.event_id):
        newest[str(event.detail.get("destination", ""))] = {"failure": event.detail.get("failure", ""), "at": event.at}
    return newest
