"""Audit events about studies, processes, settings and backups, for the audit trail and the log."""

import os
import socket
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session
from structlog.typing import FilteringBoundLogger

from glam_node.node.db import audit
from glam_node.node.db.engine import SessionFactory
from glam_node.node.domain.delivery import Delivery
from glam_node.settings.digest import ORDER_OF_RULES, RULES


def record_event(log: FilteringBoundLogger, session: Session, event: str, now: datetime, **facts: Any) -> None:
    """Record an event in the transaction of its change and log it, as a warning if `facts` include a failure."""
    audit.record(session, event, now, **facts)
    (log.warning if facts.get("failure") else log.info)(event, **facts)


def record_delivery_event(
    log: FilteringBoundLogger,
    session: Session,
    event: str,
    delivery: Delivery,
    now: datetime,
    failure: str = "",
    **facts: Any,
) -> None:
    """Record and log an event about a delivery, with its study, destination and object."""
    all_facts = {
        "study_instance_uid": delivery.study_instance_uid,
        "destination": delivery.destination,
        "sop_class_uid": delivery.sop_class_uid,
        "sop_instance_uid": delivery.sop_instance_uid,
        **facts,
        **({"failure": failure} if failure else {}),
    }
    record_event(log, session, event, now, **all_facts)


LONGEST_REASON = 2000
"""Maximum number of characters that are recorded of a reason."""


def record_start(sessions: SessionFactory, process: str, now: datetime) -> None:
    """Record that this process, which is named `process` in its log, has started."""
    _record_process_event(sessions, "process_started", process, now)


def record_stop(sessions: SessionFactory, process: str, now: datetime) -> None:
    """Record that this process stops, on request or after an expected failure; a killed process records nothing."""
    _record_process_event(sessions, "process_stopped", process, now)


def _record_process_event(sessions: SessionFactory, event: str, process: str, now: datetime) -> None:
    with sessions.begin() as session:
        audit.record(session, event, now, **_process_facts(process))


def _process_facts(process: str) -> dict[str, Any]:
    return {"process": process, "process_id": os.getpid(), "host": socket.gethostname()}


def record_backup(sessions: SessionFactory, target: Path, images: Mapping[str, int], now: datetime) -> None:
    """Record for each study how many of its images (`images`, by Study Instance UID) a backup at `target` contains."""
    with sessions.begin() as session:
        for uid, count in images.items():
            facts = {"uri": target.resolve().as_uri(), "images": count}
            audit.record(session, "study_backed_up", now, study_instance_uid=uid, **facts)


def record_refused_reload(sessions: SessionFactory, process: str, reason: str, now: datetime) -> None:
    """Record that this process could not use the settings that it was asked to reload, and keeps the old ones."""
    with sessions.begin() as session:
        audit.record(session, "settings_refused", now, reason=reason[:LONGEST_REASON], **_process_facts(process))


def record_settings(sessions: SessionFactory, digests: Mapping[str, str], now: datetime) -> None:
    """Record the settings in force, if they differ from those recorded last.

    Args:
        sessions: Database sessions.
        digests: Digest of each section of the settings, by its name.
        now: Current time.
    """
    with sessions.begin() as session:
        last = audit.recent(session, "settings_changed", 1)
        before: Mapping[str, str] = last[0].detail["digests"] if last else digests
        if last and before == digests:
            return
        changed = {name for name in {*before, *digests} if before.get(name) != digests.get(name)}
        if RULES in changed:  # a change of the rules changes the digest of their order, too
            changed.discard(ORDER_OF_RULES)
        audit.record(session, "settings_changed", now, digests=dict(digests), changed=sorted(changed))
