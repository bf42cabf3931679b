"""The audit trail: DICOM audit messages (PS3.15 A.5) are made of recorded events and forwarded to a syslog collector.

Events that belong together share one message.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from glam_node.node.audit.syslog import frame
from glam_node.node.db import audit, audit_messages, studies
from glam_node.node.db.engine import SessionFactory, reading
from glam_node.node.domain.event import Event, EventKind
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.storage.pseudonyms import pseudonym, pseudonym_key
from glam_node.node.workflow.record.event_messages import MESSAGES, EventGroup, Reporting

EVENTS_AT_ONCE = 1000
"""Maximum number of events per call of `write_audit_messages`."""
MESSAGES_AT_ONCE = 100
"""Maximum number of messages forwarded per call; they are sent twice if the process dies before they are marked."""
QUIET = timedelta(seconds=10)
"""Time without a further event after which a transfer counts as finished."""
LONGEST = timedelta(seconds=60)
"""Maximum time that a message waits for further events."""

TOGETHER: Mapping[EventKind, tuple[str, ...]] = {
    EventKind.INSTANCE_STORED: ("calling_ae_title", "patient_mismatch"),
    EventKind.INSTANCE_DUPLICATE: ("calling_ae_title", "same_bytes"),
    EventKind.INSTANCE_REFUSED: ("calling_ae_title", "address", "status"),
    EventKind.RESULT_STORED: ("destination",),
    EventKind.RESULT_FAILED: ("destination",),
    EventKind.RESULT_NOT_COMMITTED: ("destination",),
    EventKind.DELIVERY_ABANDONED: ("destination",),
}
"""Details by event: events of one study, or of none, share a message when these details are equal."""


def write_audit_messages(sessions: SessionFactory, reporting: Reporting, store: InstanceStore, now: datetime) -> int:
    """Write audit messages about up to EVENTS_AT_ONCE events, and return how many events are settled.

    An event is settled when a message describes it or when it needs none. Messages and the marks on their events are
    written in one transaction, so that a crash neither repeats nor loses a message. If the function returns
    EVENTS_AT_ONCE, call it again at once.

    Args:
        sessions: Database sessions.
        reporting: The reporting node.
        store: Storage root with the key of the pseudonyms.
        now: Current time.

    Raises:
        TransientError: The storage root is not the one of the start, such as after a share was unmounted.
    """
    with reading(sessions)() as session:
        unsettled = audit.without_message(session, EVENTS_AT_ONCE)
        finished = list(_finished_groups(unsettled, now, all_of_them=len(unsettled) == EVENTS_AT_ONCE))
        patients = studies.patients(session, {group[0].study_instance_uid for group in finished} - {""})
    if not finished:
        return 0
    key = pseudonym_key(store)
    written, without_message = [], []
    for events in finished:
        make_message = MESSAGES.get(events[0].kind)
        if make_message is None:
            without_message += events
        else:
            patient = pseudonym(key, *patients.get(events[0].study_instance_uid, ("", "")))
            written.append((events, (events[-1].at, make_message(EventGroup(reporting, events, patient)))))
    with sessions.begin() as session:
        sequences = audit_messages.append(session, [message for _, message in written])
        settled = {event.event_id: 0 for event in without_message}
        for sequence, (events, _) in zip(sequences, written, strict=True):
            settled |= {event.event_id: sequence for event in events}
        audit.set_messages(session, settled)
    return len(settled)


def _finished_groups(events: Iterable[Event], now: datetime, *, all_of_them: bool) -> Iterable[list[Event]]:
    """Yield the groups of events that belong together and for which no further event is expected."""
    groups: dict[tuple[object, ...], list[Event]] = {}
    for event in events:
        details = TOGETHER.get(event.kind)
        alike = (event.event_id,) if details is None else (event.study_instance_uid, *map(event.detail.get, details))
        groups.setdefault((event.kind, *alike), []).append(event)
    for group in groups.values():
        silent = abs(now - group[-1].at) >= QUIET or now - group[0].at >= LONGEST
        if all_of_them or silent or group[0].kind not in TOGETHER:
            yield group


def forward_audit_messages(
    sessions: SessionFactory, send: Callable[[Sequence[bytes]], None], host: str, now: Callable[[], datetime]
) -> int:
    """Send up to MESSAGES_AT_ONCE audit messages and mark them as sent; return how many there were.

    If any message was sent, call the function again at once. A message may be sent twice, but none is ever left out.

    Args:
        sessions: Database sessions.
        send: Function that sends frames to the collector; its errors are raised unchanged.
        host: Name of this host for the syslog header.
        now: Clock.
    """
    with reading(sessions)() as session:
        waiting = audit_messages.unsent(session, MESSAGES_AT_ONCE)
    if waiting:
        send([frame(one.sequence, one.event_at, one.message, host) for one in waiting])
        with sessions.begin() as session:
            audit_messages.mark_sent(session, waiting, now())
    return len(waiting)
