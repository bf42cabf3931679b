"""Audit events about studies, processes, settings and backups, for the audit trail and the log."""

import os
import socket
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Unpack

from sqlalchemy.orm import Session
from structlog.typing import FilteringBoundLogger

from glam_node.node.db import audit
from glam_node.node.db.engine import SessionFactory
from glam_node.node.domain.delivery import Delivery
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.settings.digest import ORDER_OF_RULES, RULES


def record_event(
    log: FilteringBoundLogger,
    session: Session,
    kind: EventKind,
    now: datetime,
    /,
    *,
    study_instance_uid: str = "",
    **detail: Unpack[EventDetail],
) -> None:
    """Record an event in the transaction of its change and log it.

    It is a warning if `detail` includes a failure, or destinations that have results on the wrong patient.
    """
    audit.record(session, kind, now, study_instance_uid=study_instance_uid, **detail)
    study = {"study_instance_uid": study_instance_uid} if study_instance_uid else {}
    (log.warning if detail.get("failure") or detail.get("sent_to") else log.info)(str(kind), **study, **detail)


def record_delivery_event(
    log: FilteringBoundLogger,
    session: Session,
    kind: EventKind,
    delivery: Delivery,
    now: datetime,
    failure: str = "",
    /,
    **detail: Unpack[EventDetail],
) -> None:
    """Record and log an event about a delivery, with its study, destination and object."""
    of_delivery: EventDetail = {
        "destination": delivery.destination,
        "sop_class_uid": delivery.sop_class_uid,
        "sop_instance_uid": delivery.sop_instance_uid,
        **detail,
    }
    if failure:
        of_delivery["failure"] = failure
    record_event(log, session, kind, now, study_instance_uid=delivery.study_instance_uid, **of_delivery)


LONGEST_REASON = 2000
"""Maximum number of characters that are recorded of a reason."""


def record_start(sessions: SessionFactory, process: str, now: datetime) -> None:
    """Record that this process, which is named `process` in its log, has started."""
    _record_process_event(sessions, EventKind.PROCESS_STARTED, process, now)


def record_stop(sessions: SessionFactory, process: str, now: datetime) -> None:
    """Record that this process stops, on request or after an expected failure; a killed process records nothing."""
    _record_process_event(sessions, EventKind.PROCESS_STOPPED, process, now)


def _record_process_event(sessions: SessionFactory, kind: EventKind, process: str, now: datetime) -> None:
    with sessions.begin() as session:
        audit.record(session, kind, now, **_process_facts(process))


def _process_facts(process: str) -> EventDetail:
    return {"process": process, "process_id": os.getpid(), "host": socket.gethostname()}


def record_backup(sessions: SessionFactory, target: Path, images: Mapping[str, int], now: datetime) -> None:
    """Record for each study how many of its images (`images`, by Study Instance UID) a backup at `target` contains."""
    with sessions.begin() as session:
        for uid, count in images.items():
            uri = target.resolve().as_uri()
            audit.record(session, EventKind.STUDY_BACKED_UP, now, study_instance_uid=uid, uri=uri, images=count)


def record_refused_reload(sessions: SessionFactory, process: str, reason: str, now: datetime) -> None:
    """Record that this process could not use the settings that it was asked to reload, and keeps the old ones."""
    with sessions.begin() as session:
        facts = _process_facts(process)
        facts["reason"] = reason[:LONGEST_REASON]
        audit.record(session, EventKind.SETTINGS_REFUSED, now, **facts)


def record_settings(sessions: SessionFactory, digests: Mapping[str, str], now: datetime) -> None:
    """Record the settings in force, if they differ from those recorded last.

    Args:
        sessions: Database sessions.
        digests: Digest of each section of the settings, by its name.
        now: Current time.
    """
    with sessions.begin() as session:
        last = audit.recent(session, EventKind.SETTINGS_CHANGED, 1)
        before: Mapping[str, str] = last[0].detail["digests"] if last else digests
        if last and before == digests:
            return
        changed = {name for name in {*before, *digests} if before.get(name) != digests.get(name)}
        if RULES in changed:  # a change of the rules changes the digest of their order, too
            changed.discard(ORDER_OF_RULES)
        audit.record(session, EventKind.SETTINGS_CHANGED, now, digests=dict(digests), changed=sorted(changed))
