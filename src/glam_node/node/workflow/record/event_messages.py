"""Audit messages (PS3.15 A.5) for each kind of recorded event."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from glam_node.node.audit import people, templates
from glam_node.node.audit.message import Outcome, Reporter
from glam_node.node.audit.templates import Party, StudyEvent
from glam_node.node.domain.event import Event, EventDetail, EventKind

UNKNOWN = "unknown"
NOT_RECORDED: Mapping[Literal["repeated", "unlisted"], str] = {
    "repeated": "of this kind before it",
    "unlisted": "of other kinds before it",
}
"""Phrases for the refusals that were counted but not recorded, by detail of an event."""


@dataclass(frozen=True, slots=True)
class Reporting:
    """The reporting node, and the destinations and sources that it names."""

    reporter: Reporter
    destinations: Mapping[str, Party]
    sources: Mapping[str, Party] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EventGroup:
    """Events that share one audit message."""

    reporting: Reporting
    events: Sequence[Event]
    """Events of one kind, at least one, oldest first."""
    patient: str
    """Pseudonym of the patient."""

    @property
    def reporter(self) -> Reporter:
        """The reporting node."""
        return self.reporting.reporter

    @property
    def first(self) -> Event:
        """The oldest event of the group."""
        return self.events[0]

    @property
    def detail(self) -> EventDetail:
        """Details of the oldest event."""
        return self.events[0].detail


def _received(group: EventGroup) -> bytes:
    # The ID of the second patient is not recorded: two patients in a study are a mistake of the sender.
    mismatch = bool(group.detail.get("patient_mismatch"))
    description = "the instances state another patient than the study" if mismatch else ""
    moved = _instances_moved(group, Outcome.SUCCESS, description, patient=UNKNOWN if mismatch else group.patient)
    return templates.received(group.reporter, moved, _caller(group.first), known=False)


def _received_again(group: EventGroup) -> bytes:
    if group.detail["same_bytes"]:
        moved = _instances_moved(group, Outcome.SUCCESS, "")
    else:
        moved = _instances_moved(group, Outcome.MINOR_FAILURE, "other bytes under known SOP Instance UIDs, set aside")
    return templates.received(group.reporter, moved, _caller(group.first), known=True)


def _not_received(group: EventGroup) -> bytes:
    """Return a message without a study: the UID in a refused data set is not recorded, because it may be anything."""
    counts: Counter[str] = Counter()
    for event in group.events:
        counts[event.detail["sop_class_uid"]] += 1 + event.detail.get("repeated", 0)
    first, others = group.detail, sum(event.detail.get("unlisted", 0) for event in group.events)
    description = f"refused with {first['status']}: {first['reason']}; the first is {first['sop_instance_uid']}"
    if others:
        description += f"; {others} more {NOT_RECORDED['unlisted']}"
    moved = StudyEvent(group.events[-1].at, UNKNOWN, group.patient, counts, Outcome.SERIOUS_FAILURE, description)
    return templates.received(group.reporter, moved, _caller(group.first), known=False)


def _association_rejected(group: EventGroup) -> bytes:
    detail = group.detail
    counted = [f"; {detail[name]} more {words}" for name, words in NOT_RECORDED.items() if name in detail]
    reason = "".join([str(detail["reason"]), *counted])
    return templates.node_refused(group.reporter, group.first.at, _caller(group.first), reason)


def _delivered(outcome: Outcome, description: str, group: EventGroup) -> bytes:
    name = group.detail["destination"]
    destination = group.reporting.destinations.get(name, Party(name))
    return templates.delivered(group.reporter, _instances_moved(group, outcome, description), destination)


def _backed_up(group: EventGroup) -> bytes:
    images = {"": group.detail["images"]}
    moved = StudyEvent(group.first.at, group.first.study_instance_uid, group.patient, images)
    return templates.exported(group.reporter, moved, Party("backup", uri=group.detail["uri"]), "backup")


def _deleted(group: EventGroup) -> bytes:
    return templates.study_deleted(group.reporter, _study_moved(group, f"retired by {group.detail['rule']}"))


def _activity(starts: bool, group: EventGroup) -> bytes:
    return templates.application_activity(group.reporter, group.first.at, group.detail["process"], starts=starts)


def _settings_changed(group: EventGroup) -> bytes:
    changed = ", ".join(group.detail["changed"])
    description = f"changed: {changed}" if changed else "recorded for the first time"
    return templates.settings_changed(group.reporter, group.first.at, description)


def _settings_refused(group: EventGroup) -> bytes:
    detail = group.detail
    description = f"not reloaded by {detail['process']} on {detail['host']}, the old ones stay: {detail['reason']}"
    return templates.settings_changed(group.reporter, group.first.at, description, Outcome.MINOR_FAILURE)


def _authenticated(outcome: Outcome, description: str, leaves: bool, group: EventGroup) -> bytes:
    reason = str(group.detail.get("failure", description))
    return people.authenticated(group.reporter, group.first.at, _person(group.first), outcome, reason, leaves=leaves)


def _acted_on_study(act: str, group: EventGroup) -> bytes:
    reason = group.detail.get("reason", "")
    moved = _study_moved(group, f"{act}: {reason}" if reason else act)
    # A rule of the site holds a study without a person: the node did it.
    of_node = Party(group.reporter.ae_title, group.reporter.ae_title, group.reporter.host)
    return people.acted_on_study(
        group.reporter, moved, _person(group.first) if "account" in group.first.detail else of_node
    )


def _identity_shown(group: EventGroup) -> bytes:
    return people.saw_patient(group.reporter, _study_moved(group, "name and ids shown"), _person(group.first))


def _account_changed(group: EventGroup) -> bytes:
    detail = group.detail
    role = f"role {detail['role']}" if "role" in detail else "removed"
    rights = ", may see names and ids" if detail.get("may_see_identity") else ""
    person = Party(str(detail.get("by", "")) or UNKNOWN, host=str(detail.get("address", "")))
    return people.account_changed(group.reporter, group.first.at, person, str(detail["account"]), role + rights)


def _destination_asked(group: EventGroup) -> bytes:
    outcome = Outcome.SUCCESS if group.detail["ok"] else Outcome.MINOR_FAILURE
    return _function_used(group, str(group.detail["destination"]), "C-ECHO asked for", outcome)


def _send_requested(group: EventGroup) -> bytes:
    return _function_used(group, str(group.detail["destination"]), "waiting results sent at once", Outcome.SUCCESS)


def _act_refused(group: EventGroup) -> bytes:
    description = f"{group.detail['act']} refused: {group.detail['failure']}"
    return _function_used(group, group.first.study_instance_uid or "console", description, Outcome.MINOR_FAILURE)


def _source_queried(group: EventGroup) -> bytes:
    detail, name = group.detail, group.detail["source"]
    archive = group.reporting.sources.get(name, Party(name))
    failure = detail.get("failure", "")
    outcome = Outcome.MINOR_FAILURE if failure else Outcome.SUCCESS
    found = failure or f"{detail.get('matches', 0)} studies match"
    return people.queried(
        group.reporter, group.first.at, _person(group.first), archive, detail["asked"], outcome, found
    )


def _fetched(group: EventGroup) -> bytes:
    failure = group.detail.get("failure", "")
    outcome = Outcome.MINOR_FAILURE if failure else Outcome.SUCCESS
    description = f"asked source {group.detail['source']} to send the study{': ' + failure if failure else ''}"
    moved = replace(_study_moved(group, description), outcome=outcome)
    return people.acted_on_study(group.reporter, moved, _person(group.first))


def _function_used(group: EventGroup, subject: str, description: str, outcome: Outcome) -> bytes:
    person = _person(group.first)
    return people.used_function(group.reporter, group.first.at, person, subject, description, outcome)


def _instances_moved(group: EventGroup, outcome: Outcome, description: str, *, patient: str = "") -> StudyEvent:
    instances = Counter(event.detail.get("sop_class_uid", "") for event in group.events)
    at, uid = group.events[-1].at, group.first.study_instance_uid
    return StudyEvent(at, uid, patient or group.patient, instances, outcome, description)


def _study_moved(group: EventGroup, description: str) -> StudyEvent:
    event = group.first
    return StudyEvent(event.at, event.study_instance_uid, group.patient, {}, Outcome.SUCCESS, description)


def _caller(event: Event) -> Party:
    ae_title, address = event.detail["calling_ae_title"], event.detail.get("address", "")
    return Party(ae_title or address or UNKNOWN, ae_title, address)


def _person(event: Event) -> Party:
    """Return the person who acted; for a sign-in that was refused only the address is known."""
    account, address = str(event.detail.get("account", "")), str(event.detail.get("address", ""))
    return Party(account or address or UNKNOWN, host=address)


MESSAGES: Mapping[EventKind, Callable[[EventGroup], bytes]] = {
    EventKind.PROCESS_STARTED: partial(_activity, True),
    EventKind.PROCESS_STOPPED: partial(_activity, False),
    EventKind.SETTINGS_CHANGED: _settings_changed,
    EventKind.SETTINGS_REFUSED: _settings_refused,
    EventKind.ASSOCIATION_REJECTED: _association_rejected,
    EventKind.MESSAGE_REFUSED: _association_rejected,
    EventKind.PATIENT_CHANGED: partial(_acted_on_study, "patient corrected or merged by the hospital"),
    EventKind.INSTANCE_STORED: _received,
    EventKind.INSTANCE_DUPLICATE: _received_again,
    EventKind.INSTANCE_REFUSED: _not_received,
    EventKind.RESULT_STORED: partial(_delivered, Outcome.SUCCESS, ""),
    EventKind.RESULT_FAILED: partial(_delivered, Outcome.MINOR_FAILURE, "not stored, to be tried again"),
    EventKind.RESULT_NOT_COMMITTED: partial(_delivered, Outcome.MINOR_FAILURE, "not committed, to be sent again"),
    EventKind.DELIVERY_ABANDONED: partial(_delivered, Outcome.SERIOUS_FAILURE, "not stored, given up"),
    EventKind.STUDY_RETIRED: _deleted,
    EventKind.STUDY_BACKED_UP: _backed_up,
    EventKind.SIGNED_IN: partial(_authenticated, Outcome.SUCCESS, "", False),
    EventKind.SIGNED_OUT: partial(_authenticated, Outcome.SUCCESS, "", True),
    EventKind.SIGN_IN_REFUSED: partial(_authenticated, Outcome.MINOR_FAILURE, "not let in", False),
    EventKind.SIGN_IN_LIMITED: partial(_authenticated, Outcome.SERIOUS_FAILURE, "too many attempts", False),
    EventKind.ACCOUNT_SET: _account_changed,
    EventKind.ACCOUNT_REMOVED: _account_changed,
    EventKind.IDENTITY_SHOWN: _identity_shown,
    EventKind.DESTINATION_ASKED: _destination_asked,
    EventKind.SOURCE_QUERIED: _source_queried,
    EventKind.SOURCE_ASKED_TO_SEND: _fetched,
    EventKind.SEND_REQUESTED: _send_requested,
    EventKind.ACT_REFUSED: _act_refused,
    EventKind.RETRY_REQUESTED: partial(_acted_on_study, "retry"),
    EventKind.RESEND_REQUESTED: partial(_acted_on_study, "results sent again"),
    EventKind.STUDY_HELD: partial(_acted_on_study, "held"),
    EventKind.STUDY_SET_ASIDE: partial(_acted_on_study, "set aside"),
    EventKind.STUDY_RELEASED: partial(_acted_on_study, "released"),
    EventKind.NEWER_TAKEN: partial(_acted_on_study, "newer versions of images taken"),
    EventKind.NEWER_LEFT: partial(_acted_on_study, "newer versions of images left"),
}
"""Function that makes the message about each audited kind of event."""

_OWN_WORK = "the node works on data that it has: nothing enters or leaves it, and no person acts"
_SAME_TRANSFER = "the transfer has a message already"
NOT_AUDITED: Mapping[EventKind, str] = {
    EventKind.ASSOCIATION_ABORTED: "each instance that was stored or refused before has a message",
    EventKind.ORDER_RECEIVED: _OWN_WORK,
    EventKind.ORDER_FETCHED: _SAME_TRANSFER,
    EventKind.ORDER_GIVEN_UP: _OWN_WORK,
    EventKind.STUDY_COMPLETE: _OWN_WORK,
    EventKind.STUDY_INELIGIBLE: _OWN_WORK,
    EventKind.PRIORS_SETTLED: _OWN_WORK,
    EventKind.JOB_SUBMITTED: _OWN_WORK,
    EventKind.JOB_SUPERSEDED: _OWN_WORK,
    EventKind.JOB_STARTED: _OWN_WORK,
    EventKind.JOB_FAILED: _OWN_WORK,
    EventKind.JOB_SUCCEEDED: _OWN_WORK,
    EventKind.RESULT_WRITTEN: _OWN_WORK,
    EventKind.RESULT_NOT_WRITTEN: _OWN_WORK,
    EventKind.RESULT_WITHHELD: _OWN_WORK,
    EventKind.RESULT_WARNED_OF: _SAME_TRANSFER,
    EventKind.RESULT_COMMITTED: _SAME_TRANSFER,
    EventKind.DELIVERY_REPLACED: "the object was not stored, and its substitute gets a message",
    EventKind.COMMITMENT_REPORTED: _SAME_TRANSFER,
    EventKind.COMMITMENT_ABANDONED: _SAME_TRANSFER,
    EventKind.CONFLICT_RETIRED: "the study stays; its deletion gets a message",
    EventKind.ALERT_BEGINS: _OWN_WORK,
    EventKind.ALERT_OVER: _OWN_WORK,
}
"""Reason why there is no message, by kind of event."""
