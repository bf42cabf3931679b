"""The page of destinations: what waits for each, since when, and how it went last."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from glam_node.node.console.rendering import Screens
from glam_node.node.db import backlog, deliveries, destinations
from glam_node.node.domain.delivery import DeliveryState
from glam_node.settings.destinations import DestinationSettings


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
    """Of the last attempt that failed, however many did before."""
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
    calls = destinations.calls(session)
    left = [name for name in sorted(counts) if name not in configured and name in waiting]
    return [
        DestinationFacts(
            name=name,
            settings=configured.get(name),
            counts=counts.get(name, {}),
            oldest=waiting[name].oldest if name in waiting else None,
            next_attempt_at=_next_attempt(waiting.get(name), calls.get(name)),
            last_success=stored.get(name),
            last_failure=calls[name].failure if name in calls else "",
            last_failure_at=calls[name].failed_at if name in calls else None,
        )
        for name in [*configured, *left]
    ]


def _next_attempt(waiting: backlog.Pending | None, calls: destinations.Calls | None) -> datetime | None:
    """Return when something is sent again: not before its own time, nor before the destination is called."""
    if waiting is None:
        return None
    return waiting.next_attempt_at if calls is None else max(waiting.next_attempt_at, calls.next_call_at)
