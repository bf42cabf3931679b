"""The page of destinations, with the waiting results, last success and last failure of each, and actions on them."""

import threading
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from glam_node.node.console import sources
from glam_node.node.console.authentication import COOKIE, Authentication, Fields
from glam_node.node.console.rendering import Renderer
from glam_node.node.console.sessions import Flash
from glam_node.node.db import audit, backlog, deliveries, destinations
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.event import EventKind
from glam_node.node.errors import PermanentError
from glam_node.node.scu.echo import EchoOutcome, echo
from glam_node.node.workflow.operate.resend import send_now
from glam_node.settings.destination_base import ServerSettings
from glam_node.settings.destinations import DestinationSettings

LONGEST_ECHO_S = 10.0
"""The longest time in seconds that a person waits for the answer, even if the destination's timeout is longer."""
CHECKS = {"c-store": "C-ECHO", "stow-rs": "test request", "folder": "test file", "hl7": "test connection"}
"""The name of the check by kind of destination, for its button and its answer."""


@dataclass(frozen=True, slots=True)
class DestinationFacts:
    """The current state of one destination."""

    name: str
    settings: DestinationSettings | None
    """The configuration; None if results wait for a destination that the settings no longer name."""
    counts: dict[DeliveryState, int]
    oldest: datetime | None
    next_attempt_at: datetime | None
    last_success: datetime | None
    last_failure: str
    """The failure of the latest attempt that failed; empty if no attempt failed."""
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
        """The number of results that the destination has stored."""
        return sum(self.counts.get(state, 0) for state in (DeliveryState.STORED, DeliveryState.COMMITTED))

    @property
    def fails(self) -> bool:
        """Whether the latest known attempt failed."""
        failed, succeeded = self.last_failure_at, self.last_success
        return failed is not None and (succeeded is None or failed >= succeeded)


def page(renderer: Renderer, request: Request) -> Response:
    """Show all configured destinations, others for which results wait, and the sources."""
    with renderer.sessions() as session:
        found = facts(session, renderer.node.settings.destinations)
        archives = sources.facts(session, renderer.node.settings.sources)
    return renderer.render(request, "destinations", destinations=found, checks=CHECKS, sources=archives)


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
    """Return the time of the next attempt: when a result is due, but not before the destination may be called again."""
    if waiting is None:
        return None
    return waiting.next_attempt_at if calls is None else max(waiting.next_attempt_at, calls.next_call_at)


class DestinationActions:
    """The actions on destinations; each destination is checked by one request at a time."""

    def __init__(self, renderer: Renderer, authentication: Authentication) -> None:
        self._node = renderer.node
        self._now = renderer.now
        self._sessions = authentication.sessions
        self._under_way: set[str] = set()
        self._lock = threading.Lock()

    def send_echo(self, request: Request, _: Fields) -> Response:
        """Check a destination, audit the answer and show it on the page of destinations.

        Raises:
            HTTPException: There is no such destination (404), or a check of it is under way (409).
        """
        name = self._name(request)
        with self._lock:
            if name in self._under_way:
                raise HTTPException(409, f"A check of {name} is already under way. Wait for its answer.")
            self._under_way.add(name)
        try:
            outcome = self._echo(name)
        finally:
            with self._lock:
                self._under_way.discard(name)
        actor = request.state.visitor.actor
        with self._node.sessions.begin() as session:
            facts = {"account": actor.account, "address": actor.address, "destination": name, "ok": outcome.ok}
            audit.record(session, EventKind.DESTINATION_ASKED, self._now(), **facts, message=outcome.message)
        sent = CHECKS[self._node.settings.destinations[name].kind]
        words = f"{sent[0].upper()}{sent[1:]} to {name}, {outcome.milliseconds:.0f} ms: {outcome.message}"
        self._sessions.leave_flash(request.cookies.get(COOKIE, ""), Flash(words, good=outcome.ok))
        return RedirectResponse(f"/destinations#destination-{name}", 303)

    def send_now(self, request: Request, _: Fields) -> Response:
        """Make all results that wait for the destination due now.

        Raises:
            HTTPException: There is no such destination (404), or it is not live (409).
        """
        name = self._name(request)
        try:
            with self._node.sessions.begin() as session:
                done = send_now(session, name, request.state.visitor.actor, self._node.inference, self._now())
        except PermanentError as error:
            raise HTTPException(409, str(error)) from error
        self._sessions.leave_flash(request.cookies.get(COOKIE, ""), Flash(f"{done}.", good=True))
        return RedirectResponse(f"/destinations#destination-{name}", 303)

    def _name(self, request: Request) -> str:
        name: str = request.path_params["destination"]
        if name not in self._node.settings.destinations:
            raise HTTPException(404, f"There is no [destinations.{name[:64]}] in the settings.")
        return name

    def _echo(self, name: str) -> EchoOutcome:
        destination = self._node.settings.destinations[name]
        if isinstance(destination, ServerSettings):
            destination = destination.model_copy(update={"timeout": min(destination.timeout, LONGEST_ECHO_S)})
        return echo(name, destination, self._node.settings.node.ae_title)
