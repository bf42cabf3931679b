"""DICOM audit messages (PS3.15 A.5) made of recorded events; events that belong together share one message."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from glam_node.node.audit import templates
from glam_node.node.audit.message import Outcome, Reporter
from glam_node.node.audit.templates import Party, StudyMoved
from glam_node.node.db import audit, audit_messages, studies
from glam_node.node.db.audit import Event
from glam_node.node.db.engine import SessionFactory, reading
from glam_node.node.storage.pseudonyms import pseudonym, pseudonym_key
from glam_node.node.workflow.report_people import TOLD_OF_PEOPLE, Tell

AT_ONCE = 1000
QUIET = timedelta(seconds=10)
"""Time without a further event after which a transfer counts as finished."""
LONGEST = timedelta(seconds=60)
"""Maximum time that a message waits for further events."""

TOGETHER: Mapping[str, tuple[str, ...]] = {
    "instance_stored": ("calling_ae_title", "patient_mismatch"),
    "instance_duplicate": ("calling_ae_title", "same_bytes"),
    "instance_refused": ("calling_ae_title", "address", "status"),
    "result_stored": ("destination",),
    "result_failed": ("destination",),
    "result_not_committed": ("destination",),
    "delivery_abandoned": ("destination",),
}
"""Details by event: events of one study, or of none, share a message when these details are equal."""


@dataclass(frozen=True, slots=True)
class Reporting:
    """The reporting node, and the destinations that it names."""

    reporter: Reporter
    destinations: Mapping[str, Party]


UNKNOWN = "unknown"
NOT_RECORDED = {"repeated": "of this kind before it", "unlisted": "of other kinds before it"}
"""Phrases for the refusals that were counted but not recorded, by detail of an event."""

Told = tuple[Reporting, Sequence[Event], str]
"""The reporting node, events that belong together, and the patient's pseudonym."""


def report_events(sessions: SessionFactory, reporting: Reporting, root: Path, now: datetime) -> int:
    """Write audit messages about up to AT_ONCE events, and return how many events are settled.

    An event is settled when a message describes it or when it needs none. Messages and the marks on their events are
    one transaction, so that a crash neither repeats nor loses a message. Call it again at once while it returns
    AT_ONCE.

    Args:
        sessions: Database sessions.
        reporting: The reporting node.
        root: Storage root with the key of the pseudonyms.
        now: Current time.
    """
    with reading(sessions)() as session:
        events = audit.without_message(session, AT_ONCE)
        over = list(_over(events, now, all_of_them=len(events) == AT_ONCE))
        patients = studies.patients(session, {group[0].study_instance_uid for group in over} - {""})
    if not over:
        return 0
    key = pseudonym_key(root)
    told, untold = [], []
    for group in over:
        tell = TEMPLATES.get(group[0].event)
        patient = pseudonym(key, *patients.get(group[0].study_instance_uid, ("", "")))
        if tell is None:
            untold += group
        else:
            told.append((group, (group[-1].at, tell((reporting, group, patient)))))
    with sessions.begin() as session:
        sequences = audit_messages.append(session, [message for _, message in told])
        settled = {event.event_id: 0 for event in untold}
        for sequence, (group, _) in zip(sequences, told, strict=True):
            settled |= {event.event_id: sequence for event in group}
        audit.set_messages(session, settled)
    return len(settled)


def _over(events: Iterable[Event], now: datetime, *, all_of_them: bool) -> Iterable[list[Event]]:
    """Yield the groups of events that belong together and that no further event is expected for."""
    groups: dict[tuple[object, ...], list[Event]] = {}
    for event in events:
        details = TOGETHER.get(event.event)
        alike = (event.event_id,) if details is None else (event.study_instance_uid, *map(event.detail.get, details))
        groups.setdefault((event.event, *alike), []).append(event)
    for group in groups.values():
        silent = abs(now - group[-1].at) >= QUIET or now - group[0].at >= LONGEST
        if all_of_them or silent or group[0].event not in TOGETHER:
            yield group


def _received(told: Told) -> bytes:
    reporting, events, patient = told
    # The ID of the second patient is not recorded: two patients in a study are a mistake of the sender.
    mismatch = bool(events[0].detail.get("patient_mismatch"))
    described = "the instances state another patient than the study" if mismatch else ""
    moved = _moved(events, UNKNOWN if mismatch else patient, Outcome.SUCCESS, described)
    return templates.received(reporting.reporter, moved, _caller(events[0]), known=False)


def _received_again(told: Told) -> bytes:
    reporting, events, patient = told
    if events[0].detail["same_bytes"]:
        moved = _moved(events, patient, Outcome.SUCCESS, "")
    else:
        moved = _moved(events, patient, Outcome.MINOR_FAILURE, "other bytes under known SOP Instance UIDs, set aside")
    return templates.received(reporting.reporter, moved, _caller(events[0]), known=True)


def _not_received(told: Told) -> bytes:
    """Return a message without a study: the UID in a refused data set is not recorded, because it may be anything."""
    reporting, events, patient = told
    counts: Counter[str] = Counter()
    for event in events:
        counts[event.detail["sop_class_uid"]] += 1 + event.detail.get("repeated", 0)
    first, others = events[0].detail, sum(event.detail.get("unlisted", 0) for event in events)
    described = f"refused with {first['status']}: {first['reason']}; the first is {first['sop_instance_uid']}"
    if others:
        described += f"; {others} more {NOT_RECORDED['unlisted']}"
    moved = StudyMoved(events[-1].at, UNKNOWN, patient, counts, Outcome.SERIOUS_FAILURE, described)
    return templates.received(reporting.reporter, moved, _caller(events[0]), known=False)


def _delivered(outcome: Outcome, description: str) -> Callable[[Told], bytes]:
    def tell(told: Told) -> bytes:
        reporting, events, patient = told
        name = events[0].detail["destination"]
        destination = reporting.destinations.get(name, Party(name))
        return templates.delivered(reporting.reporter, _moved(events, patient, outcome, description), destination)

    return tell


def _backed_up(told: Told) -> bytes:
    reporting, events, patient = told
    detail = events[0].detail
    moved = StudyMoved(events[0].at, events[0].study_instance_uid, patient, {"": detail["images"]})
    return templates.exported(reporting.reporter, moved, Party("backup", uri=detail["uri"]), "backup")


def _deleted(told: Told) -> bytes:
    reporting, events, patient = told
    rule = str(events[0].detail["rule"])
    moved = StudyMoved(events[0].at, events[0].study_instance_uid, patient, {}, Outcome.SUCCESS, f"retired by {rule}")
    return templates.study_deleted(reporting.reporter, moved)


def _refused(told: Told) -> bytes:
    reporting, events, _ = told
    detail = events[0].detail
    counted = [f"; {detail[name]} more {words}" for name, words in NOT_RECORDED.items() if name in detail]
    reason = "".join([str(detail["reason"]), *counted])
    return templates.node_refused(reporting.reporter, events[0].at, _caller(events[0]), reason)


def _activity(*, starts: bool) -> Callable[[Told], bytes]:
    def tell(told: Told) -> bytes:
        reporting, events, _ = told
        return templates.application_activity(
            reporting.reporter, events[0].at, events[0].detail["process"], starts=starts
        )

    return tell


def _of_person(tell_of: Tell) -> Callable[[Told], bytes]:
    def tell(told: Told) -> bytes:
        reporting, events, patient = told
        return tell_of(reporting.reporter, events[0], patient)

    return tell


def _settings_changed(told: Told) -> bytes:
    reporting, events, _ = told
    changed = ", ".join(events[0].detail["changed"])
    description = f"changed: {changed}" if changed else "recorded for the first time"
    return templates.settings_changed(reporting.reporter, events[0].at, description)


def _settings_refused(told: Told) -> bytes:
    reporting, events, _ = told
    detail = events[0].detail
    description = f"not reloaded by {detail['process']} on {detail['host']}, the old ones stay: {detail['reason']}"
    return templates.settings_changed(reporting.reporter, events[0].at, description, Outcome.MINOR_FAILURE)


def _moved(events: Sequence[Event], patient: str, outcome: Outcome, description: str) -> StudyMoved:
    instances = Counter(event.detail.get("sop_class_uid", "") for event in events)
    return StudyMoved(events[-1].at, events[0].study_instance_uid, patient, instances, outcome, description)


def _caller(event: Event) -> Party:
    ae_title, address = event.detail["calling_ae_title"], event.detail.get("address", "")
    return Party(ae_title or address or UNKNOWN, ae_title, address)


TEMPLATES: Mapping[str, Callable[[Told], bytes]] = {
    "process_started": _activity(starts=True),
    "process_stopped": _activity(starts=False),
    "settings_changed": _settings_changed,
    "settings_refused": _settings_refused,
    "association_rejected": _refused,
    "instance_stored": _received,
    "instance_duplicate": _received_again,
    "instance_refused": _not_received,
    "result_stored": _delivered(Outcome.SUCCESS, ""),
    "result_failed": _delivered(Outcome.MINOR_FAILURE, "not stored, to be tried again"),
    "result_not_committed": _delivered(Outcome.MINOR_FAILURE, "not committed, to be sent again"),
    "delivery_abandoned": _delivered(Outcome.SERIOUS_FAILURE, "not stored, given up"),
    "study_retired": _deleted,
    "study_backed_up": _backed_up,
    **{event: _of_person(tell) for event, tell in TOLD_OF_PEOPLE.items()},
}
"""Function that makes the message about each kind of event; the other kinds need no message."""
