"""Audit messages (PS3.15 A.5) for each kind of recorded event."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from glam_node.node.audit import people, templates
from glam_node.node.audit.message import Outcome, Reporter
from glam_node.node.audit.templates import Party, StudyEvent
from glam_node.node.db.audit import Event

UNKNOWN = "unknown"
NOT_RECORDED = {"repeated": "of this kind before it", "unlisted": "of other kinds before it"}
"""Phrases for the refusals that were counted but not recorded, by detail of an event."""


@dataclass(frozen=True, slots=True)
class Reporting:
    """The reporting node, and the destinations that it names."""

    reporter: Reporter
    destinations: Mapping[str, Party]


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
    def detail(self) -> dict[str, Any]:
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
    return people.acted_on_study(group.reporter, moved, _person(group.first))


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


MESSAGES: Mapping[str, Callable[[EventGroup], bytes]] = {
    "process_started": partial(_activity, True),
    "process_stopped": partial(_activity, False),
    "settings_changed": _settings_changed,
    "settings_refused": _settings_refused,
    "association_rejected": _association_rejected,
    "instance_stored": _received,
    "instance_duplicate": _received_again,
    "instance_refused": _not_received,
    "result_stored": partial(_delivered, Outcome.SUCCESS, ""),
    "result_failed": partial(_delivered, Outcome.MINOR_FAILURE, "not stored, to be tried again"),
    "result_not_committed": partial(_delivered, Outcome.MINOR_FAILURE, "not committed, to be sent again"),
    "delivery_abandoned": partial(_delivered, Outcome.SERIOUS_FAILURE, "not stored, given up"),
    "study_retired": _deleted,
    "study_backed_up": _backed_up,
    "signed_in": partial(_authenticated, Outcome.SUCCESS, "", False),
    "signed_out": partial(_authenticated, Outcome.SUCCESS, "", True),
    "sign_in_refused": partial(_authenticated, Outcome.MINOR_FAILURE, "not let in", False),
    "sign_in_limited": partial(_authenticated, Outcome.SERIOUS_FAILURE, "too many attempts", False),
    "account_set": _account_changed,
    "account_removed": _account_changed,
    "identity_shown": _identity_shown,
    "destination_asked": _destination_asked,
    "send_requested": _send_requested,
    "act_refused": _act_refused,
    "retry_requested": partial(_acted_on_study, "retry"),
    "resend_requested": partial(_acted_on_study, "results sent again"),
    "study_held": partial(_acted_on_study, "held"),
    "study_set_aside": partial(_acted_on_study, "set aside"),
    "study_released": partial(_acted_on_study, "released"),
    "newer_taken": partial(_acted_on_study, "newer versions of images taken"),
    "newer_left": partial(_acted_on_study, "newer versions of images left"),
}
"""Function that makes the message about each kind of event; the other kinds need no message."""
