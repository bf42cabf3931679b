"""The page of destinations, with the waiting results, last success and last failure of each."""

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
    """The present state of one destination."""

    name: str
    settings: DestinationSettings | None
    """The configuration; None if results wait for a destination that the settings no longer name."""
    counts: dict[DeliveryState, int]
    oldest: datetime | None
    next_attempt_at: datetime | None
    last_success: datetime | None
    last_failure: str
    """The failure of the latest attempt that failed; empty if none did."""
    last_failure_at: datetime | None

    @property
    def pending(self) -> int:
        """The number of results that wait to be sent."""
        return self.counts.get(DeliveryState.PENDING, 0)

    @property
    def abandoned(self) -> int:
        """The number of results that were given up until a person retries them."""
        return self.counts.get(DeliveryState.ABANDONED, 0)

    @property
    def delivered(self) -> int:
        """The number of results that the destination has."""
        return sum(self.counts.get(state, 0) for state in (DeliveryState.STORED, DeliveryState.COMMITTED))

    @property
    def fails(self) -> bool:
        """Whether the latest known attempt failed."""
        failed, succeeded = self.last_failure_at, self.last_success
        return failed is not None and (succeeded is None or failed >= succeeded)


def page(screens: Screens, request: Request) -> Response:
    """Show all configured destinations, and others for which results wait."""
    with screens.sessions() as session:
        found = facts(session, screens.node.settings.destinations)
    return screens.render(request, "destinations", destinations=found)


def facts(session: Session, configured: dict[str, DestinationSettings]) -> list[DestinationFacts]:
    """Return the state of every configured destination, in that order, then of others for which results wait."""
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
    """Return when the next result is sent: when it is due, but not before the destination may be called again."""
    if waiting is None:
        return None
    return waiting.next_attempt_at if calls is None else max(waiting.next_attempt_at, calls.next_call_at)
