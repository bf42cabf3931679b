"""Actions of operators on a study: a page states the consequence, and each form that is sent is carried out once."""

import secrets
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from glam_node.node.bootstrap import Node
from glam_node.node.console.authentication import COOKIE, Authentication, Fields
from glam_node.node.console.rendering import Renderer
from glam_node.node.console.sessions import Flash
from glam_node.node.db import conflicts, deliveries, studies
from glam_node.node.domain.account import Order, Right, SeenStudy
from glam_node.node.domain.study import LEGAL_STANDINGS, Standing, Study, StudyState
from glam_node.node.errors import PermanentError
from glam_node.node.workflow.operate.operator_study import LONGEST_REASON, shown_state
from glam_node.node.workflow.operate.resend import GIVEN_UP, THERE, Selection, resend
from glam_node.node.workflow.operate.retry import retry_given_up, retry_study
from glam_node.node.workflow.operate.standing import hold, release, set_aside
from glam_node.node.workflow.operate.versions import keep_first, take_newer

REMEMBERED = 1000
"""The number of sent forms that are remembered; sending a remembered form again does nothing."""


@dataclass(frozen=True, slots=True)
class Action:
    """An action that is offered as a button."""

    verb: str
    name: str
    consequence: str
    """The effect of the action, as the confirmation page states it."""
    is_possible: Callable[[Study], bool]
    run: Callable[[Node, Order, Fields], str]
    wants_reason: bool = False
    needs_newer_images: bool = False
    """Whether the action is offered only for studies with images that were received again in a newer version."""


def _may_become(standing: Standing) -> Callable[[Study], bool]:
    return lambda study: (
        standing in LEGAL_STANDINGS[study.standing]
        and (study.state is not StudyState.RETIRED or standing is Standing.FREE)
    )


def _is_active(study: Study) -> bool:
    return study.standing is Standing.FREE and study.state is not StudyState.RETIRED


def _is_not_set_aside(study: Study) -> bool:
    return study.standing is not Standing.SET_ASIDE and study.state is not StudyState.RETIRED


def _in_session(change: Callable[[Session, Order, Node, Fields], str]) -> Callable[[Node, Order, Fields], str]:
    """Return a function that makes the change in one transaction."""

    def run(node: Node, order: Order, fields: Fields) -> str:
        with node.sessions.begin() as session:
            return change(session, order, node, fields)

    return run


def _resend(session: Session, order: Order, node: Node, fields: Fields) -> str:
    selection = Selection(fields.get("destination", ""), "stored" in fields)
    return resend(session, order, selection, node.inference)


ACTIONS = {
    action.verb: action
    for action in (
        Action(
            "retry",
            "Try again",
            "A failed job starts again, and results that were given up are sent again. A study that was not analysed, "
            "or that was analysed with other settings, is checked against the rules and analysed again.",
            _is_active,
            _in_session(lambda session, order, node, _: str(retry_study(session, order, node.inference))),
        ),
        Action(
            "resend",
            "Send results again",
            "Results that the destination did not get are sent to it again. The objects are the same: an archive that "
            "already has them keeps or replaces its copies. For a destination that was added later, results are "
            "written from the stored findings.",
            _is_active,
            _in_session(_resend),
        ),
        Action(
            "hold",
            "Hold",
            "The study waits until it is released: it is not analysed, its results are not sent, and its files are not "
            "removed. A worker or sender that is working on it finishes its current step.",
            _may_become(Standing.HELD),
            _in_session(lambda session, order, _node, _: hold(session, order)),
        ),
        Action(
            "set-aside",
            "Set aside",
            "All work on the study stops, and its results are not sent. Its files are removed when they reach the age "
            "that retention sets. You can release the study, which resumes the work.",
            _may_become(Standing.SET_ASIDE),
            _in_session(lambda session, order, _node, _: set_aside(session, order)),
            wants_reason=True,
        ),
        Action(
            "take-newer",
            "Take newer images",
            "Images that were sent again replace the first ones. The study is checked and analysed again, and its "
            "results name the patient of the newer images. Earlier results that were not sent yet will not be sent; "
            "those that an archive already has stay there.",
            _is_not_set_aside,
            lambda node, order, _: take_newer(node.sessions, order, node.store),
            wants_reason=True,
            needs_newer_images=True,
        ),
        Action(
            "keep-first",
            "Keep first images",
            "The first images remain the ones that are analysed. The study no longer counts as in doubt because of the "
            "images that were sent again.",
            _is_not_set_aside,
            _in_session(lambda session, order, _node, _: keep_first(session, order)),
            wants_reason=True,
            needs_newer_images=True,
        ),
        Action(
            "release",
            "Release",
            "Work on the study resumes where it stopped, and its results are sent. A study that was set aside before "
            "its analysis ended is checked against the rules and analysed again.",
            lambda study: study.standing is not Standing.FREE,
            _in_session(lambda session, order, _node, _: release(session, order)),
        ),
    )
}


class StudyActions:
    """The pages on which a person confirms an action on a study, and the execution of the action."""

    def __init__(self, renderer: Renderer, authentication: Authentication) -> None:
        self._renderer = renderer
        self._node = renderer.node
        self._sessions = authentication.sessions
        self._sent: dict[str, Future[Flash]] = {}
        self._lock = threading.Lock()
        self._retrying_all = threading.Lock()
        renderer.templates.env.globals["actions_for"] = self.offered

    def offered(self, study_instance_uid: str) -> dict[str, Any]:
        """Return the actions that the state of the study allows, the study, and what a person sees of it.

        Returns:
            `actions`, `study` and `seen` (version, and state in words); if the study is not known, no actions and None.
        """
        with self._renderer.sessions() as session:
            study = studies.get(session, study_instance_uid)
            if study is None:
                return {"actions": [], "seen": None, "study": None}
            newer = bool(conflicts.open_of_study(session, study_instance_uid))
            possible = [
                action
                for action in ACTIONS.values()
                if action.is_possible(study) and (newer or not action.needs_newer_images)
            ]
            seen = SeenStudy(study.version, shown_state(session, study))
            return {"actions": possible, "seen": seen, "study": study}

    def confirm(self, request: Request) -> Response:
        """Show the confirmation page of an action.

        Raises:
            HTTPException: The visitor is not an operator (403), the study is not known (404), or it has changed or its
                state does not allow the action (409).
        """
        request.state.visitor.require(Right.ACT)
        action, uid = _action(request), request.path_params["study_instance_uid"]
        offered = self.offered(uid)
        if offered["study"] is None:
            raise HTTPException(404, f"Study {uid[:64]} is not known to this node.")
        now: SeenStudy = offered["seen"]
        was = _seen(request.query_params) if "version" in request.query_params else now
        if was.version != now.version or action not in offered["actions"]:
            raise HTTPException(409, _changed(action, was, now))
        return self._renderer.render(
            request,
            "confirm_action",
            action=action,
            study=offered["study"],
            seen=now,
            once=secrets.token_urlsafe(16),
            destinations=self._counts(uid) if action.verb == "resend" else [],
            longest_reason=LONGEST_REASON,
        )

    def carry_out(self, request: Request, fields: Fields) -> Response:
        """Carry out an action, unless the same form was sent before, and redirect to the page of the study.

        Raises:
            HTTPException: There is no such action (404), or it is not possible (409).
        """
        action, uid = _action(request), request.path_params["study_instance_uid"]
        visitor = request.state.visitor
        token = request.cookies.get(COOKIE, "")
        order = Order(uid, visitor.actor, self._renderer.now(), fields.get("reason", "").strip(), _seen(fields))
        # With all fields, so that another form, or one changed after it was sent, is not taken for the same.
        sent = repr((token, uid, action.verb, sorted(fields.items())))
        flash = self._once(sent, lambda: self._run(action, order, fields))
        self._sessions.leave_flash(token, flash)
        return RedirectResponse(f"/studies/{uid}", 303)

    def retry_all(self, request: Request, fields: Fields) -> Response:
        """Retry every study with a failed job or an abandoned result, and show the number on the list of studies."""
        visitor, context = request.state.visitor, self._node.inference
        reason = fields.get("reason", "").strip()[:LONGEST_REASON]
        with self._retrying_all:
            done = retry_given_up(self._node.sessions, visitor.actor, reason, self._renderer.now(), context)
        self._sessions.leave_flash(request.cookies.get(COOKIE, ""), Flash(f"Retry all: {done}."))
        return RedirectResponse("/?attention=given_up", 303)

    def _run(self, action: Action, order: Order, fields: Fields) -> Flash:
        try:
            done = action.run(self._node, order, fields)
        except PermanentError as error:
            raise HTTPException(409, str(error)) from error
        return Flash(f"{action.name}: {done}.")

    def _once(self, key: str, run: Callable[[], Flash]) -> Flash:
        """Return the result of `run`; if the same form is being or was carried out, wait for that result instead.

        A form that failed is not remembered, so that it can be sent again.
        """
        with self._lock:
            is_first = key not in self._sent
            outcome = self._sent.setdefault(key, Future())
            if len(self._sent) > REMEMBERED:
                del self._sent[next(iter(self._sent))]
        if is_first:
            try:
                outcome.set_result(run())
            except BaseException as error:
                with self._lock:
                    self._sent.pop(key, None)
                outcome.set_exception(error)
                raise
        return outcome.result()

    def _counts(self, uid: str) -> list[dict[str, Any]]:
        """Return for each destination the number of results that were given up and the number that were delivered."""
        with self._renderer.sessions() as session:
            found = deliveries.of_study(session, uid)
        return [
            {
                "name": name,
                "given_up": sum(one.destination == name and one.state in GIVEN_UP for one in found),
                "delivered": sum(one.destination == name and one.state in THERE for one in found),
            }
            for name in self._node.settings.destinations
        ]


def _action(request: Request) -> Action:
    action = ACTIONS.get(request.path_params["verb"])
    if action is None:
        raise HTTPException(404, f"There is no such action. Choose one of: {', '.join(ACTIONS)}.")
    return action


def _seen(fields: Mapping[str, str]) -> SeenStudy:
    """Return the study as the page of the form showed it; a version that no study has if the form states none."""
    version = fields.get("version", "")
    return SeenStudy(int(version) if version.isdecimal() and len(version) < 20 else -1, fields.get("seen", "")[:200])


def _changed(action: Action, was: SeenStudy, now: SeenStudy) -> str:
    if was.version == now.version:
        return f"{action.name} is not possible: the study is {now.words}. Nothing was done."
    return (
        f"The study has changed since the page was made: it was {was.words}, it is {now.words}. Nothing was done. "
        "Check its present state, and decide again."
    )
