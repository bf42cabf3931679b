"""Actions of operators on a destination: a C-ECHO, and sending all waiting results now."""

import threading

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from glam_node.node.console.door import COOKIE, Door, Fields
from glam_node.node.console.rendering import Screens
from glam_node.node.console.sessions import Flash
from glam_node.node.db import audit
from glam_node.node.domain.words import counted
from glam_node.node.scu.echo import EchoOutcome, echo
from glam_node.node.workflow.operate.resend import send_now

LONGEST_S = 10.0
"""The longest time in seconds that a person waits for the answer, however long the destination's timeout is."""


class Echoes:
    """The actions on destinations; each destination gets one C-ECHO at a time."""

    def __init__(self, screens: Screens, door: Door) -> None:
        self._node = screens.node
        self._now = screens.now
        self._sessions = door.sessions
        self._asking: set[str] = set()
        self._lock = threading.Lock()

    def ask(self, request: Request, _: Fields) -> Response:
        """Send a C-ECHO, audit the answer and show it on the page of destinations.

        Raises:
            HTTPException: There is no such destination (404), or a C-ECHO to it is under way (409).
        """
        name = self._name(request)
        with self._lock:
            if name in self._asking:
                raise HTTPException(409, f"A C-ECHO to {name} is already under way. Wait for its answer.")
            self._asking.add(name)
        try:
            report = self._ask(name)
        finally:
            with self._lock:
                self._asking.discard(name)
        actor = request.state.visitor.actor
        with self._node.sessions.begin() as session:
            facts = {"account": actor.account, "address": actor.address, "destination": name, "ok": report.ok}
            audit.record(session, "destination_asked", self._now(), **facts, message=report.message)
        words = f"C-ECHO to {name}, {report.milliseconds:.0f} ms: {report.message}"
        self._sessions.leave(request.cookies.get(COOKIE, ""), Flash(words, good=report.ok))
        return RedirectResponse(f"/destinations#destination-{name}", 303)

    def send(self, request: Request, _: Fields) -> Response:
        """Make all results that wait for the destination due now.

        Raises:
            HTTPException: There is no such destination (404).
        """
        name, configured = self._name(request), self._node.settings.destinations
        with self._node.sessions.begin() as session:
            count = send_now(session, name, request.state.visitor.actor, configured, self._now())
        words = f"{counted(count, 'waiting result')} will be sent to {name} now."
        self._sessions.leave(request.cookies.get(COOKIE, ""), Flash(words, good=True))
        return RedirectResponse(f"/destinations#destination-{name}", 303)

    def _name(self, request: Request) -> str:
        name: str = request.path_params["destination"]
        if name not in self._node.settings.destinations:
            raise HTTPException(404, f"There is no [destinations.{name[:64]}] in the settings.")
        return name

    def _ask(self, name: str) -> EchoOutcome:
        destination = self._node.settings.destinations[name]
        patient = destination.model_copy(update={"timeout": min(destination.timeout, LONGEST_S)})
        return echo(name, patient, self._node.settings.node.ae_title)
