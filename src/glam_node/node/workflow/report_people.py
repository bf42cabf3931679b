"""Audit messages about the actions of people."""

from collections.abc import Callable, Mapping
from functools import partial

from glam_node.node.audit import people
from glam_node.node.audit.message import Outcome, Reporter
from glam_node.node.audit.templates import Party, StudyMoved
from glam_node.node.db.audit import Event

Tell = Callable[[Reporter, Event, str], bytes]
"""Function that makes the message about one event, with the patient's pseudonym."""

ACTS = {
    "retry_requested": "retry",
    "resend_requested": "results sent again",
    "study_held": "held",
    "study_set_aside": "set aside",
    "study_released": "released",
    "newer_taken": "newer versions of images taken",
    "newer_left": "newer versions of images left",
}


def _person(event: Event) -> Party:
    """Return the person who acted; for a sign-in that was refused only the address is known."""
    account, address = str(event.detail.get("account", "")), str(event.detail.get("address", ""))
    return Party(account or address or "unknown", host=address)


def _authenticated(outcome: Outcome, description: str, leaves: bool, reporter: Reporter, event: Event, _: str) -> bytes:
    said = str(event.detail.get("failure", description))
    return people.authenticated(reporter, event.at, _person(event), outcome, said, leaves=leaves)


def _acted(act: str, reporter: Reporter, event: Event, patient: str) -> bytes:
    reason = event.detail.get("reason", "")
    moved = _about(event, patient, f"{act}: {reason}" if reason else act)
    return people.acted_on_study(reporter, moved, _person(event))


def _saw_patient(reporter: Reporter, event: Event, patient: str) -> bytes:
    return people.saw_patient(reporter, _about(event, patient, "name and ids shown"), _person(event))


def _about(event: Event, patient: str, description: str) -> StudyMoved:
    return StudyMoved(event.at, event.study_instance_uid, patient, {}, Outcome.SUCCESS, description)


def _account(reporter: Reporter, event: Event, _: str) -> bytes:
    detail = event.detail
    role = f"role {detail['role']}" if "role" in detail else "removed"
    rights = ", may see names and ids" if detail.get("may_see_identity") else ""
    person = Party(str(detail.get("by", "")) or "unknown", host=str(detail.get("address", "")))
    return people.account_changed(reporter, event.at, person, str(detail["account"]), role + rights)


def _echoed(reporter: Reporter, event: Event, _: str) -> bytes:
    name = str(event.detail["destination"])
    outcome = Outcome.SUCCESS if event.detail["ok"] else Outcome.MINOR_FAILURE
    return people.used_function(reporter, event.at, _person(event), name, "C-ECHO asked for", outcome)


def _hurried(reporter: Reporter, event: Event, _: str) -> bytes:
    name, described = str(event.detail["destination"]), "waiting results sent at once"
    return people.used_function(reporter, event.at, _person(event), name, described, Outcome.SUCCESS)


def _refused(reporter: Reporter, event: Event, _: str) -> bytes:
    act, subject = str(event.detail["act"]), event.study_instance_uid or "console"
    described = f"{act} refused: {event.detail['failure']}"
    return people.used_function(reporter, event.at, _person(event), subject, described, Outcome.MINOR_FAILURE)


TOLD_OF_PEOPLE: Mapping[str, Tell] = {
    "signed_in": partial(_authenticated, Outcome.SUCCESS, "", False),
    "signed_out": partial(_authenticated, Outcome.SUCCESS, "", True),
    "sign_in_refused": partial(_authenticated, Outcome.MINOR_FAILURE, "not let in", False),
    "sign_in_limited": partial(_authenticated, Outcome.SERIOUS_FAILURE, "too many attempts", False),
    "account_set": _account,
    "account_removed": _account,
    "identity_shown": _saw_patient,
    "destination_asked": _echoed,
    "send_requested": _hurried,
    "act_refused": _refused,
    **{event: partial(_acted, act) for event, act in ACTS.items()},
}
