"""Retention: removes files of studies that are done or set aside, by age or for lack of space; records are kept."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from glam_node.node.db import conflicts, deliveries, jobs, studies
from glam_node.node.db.engine import SessionFactory, reading
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.domain.study import Standing, Study, StudyState
from glam_node.node.storage.files import remove_unfinished
from glam_node.node.storage.findings import findings_path
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.storage.retired import RECENT_S, RetiredFiles
from glam_node.node.workflow.record.events import record_event

log = structlog.get_logger(__name__)

AT_ONCE = 20
LEAST_AGE = timedelta(seconds=RECENT_S)


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """Settings of retention."""

    age: timedelta
    """Time since the last image of a study after which the study is retired."""
    free_bytes: int
    """Free bytes below which the oldest studies are retired before that age."""


def retire(sessions: SessionFactory, store: InstanceStore, policy: RetentionPolicy, now: datetime) -> int:
    """Retire up to AT_ONCE studies, by age and then the oldest while space is short, and return how many.

    A study becomes RETIRED before its files are removed; `finish_retirement` removes files that a crash in between
    leaves behind. If any study was retired, call the function again.

    Raises:
        OSError: The disk failed.
    """
    retired = RetiredFiles(store.root)
    count = _retire_before(now - policy.age, AT_ONCE, "age", sessions, store, retired, now)
    while count < AT_ONCE and not store.has_room(policy.free_bytes):
        if not _retire_before(now - LEAST_AGE, 1, "space", sessions, store, retired, now):
            break
        count += 1
    return count


def retire_newer_versions(
    sessions: SessionFactory, store: InstanceStore, policy: RetentionPolicy, now: datetime
) -> int:
    """Remove newer versions of instances, by age and then the oldest while space is short, and return how many.

    For lack of space only files older than LEAST_AGE are removed. A version that states another patient, study or view
    is kept until a person decides about it or sets its study aside.

    Raises:
        OSError: The disk failed.
    """
    count = 0
    with reading(sessions)() as session:
        kept = {store.resolve(path) for path in conflicts.kept_for_decision(session)}
    for path, received_at in (one for one in store.conflicts() if one[0] not in kept):
        short = received_at < now - LEAST_AGE and not store.has_room(policy.free_bytes)
        if not short and received_at >= now - policy.age:
            break
        rule, kept_at = "space" if short else "age", str(path.relative_to(store.root))
        with sessions.begin() as session:
            conflicts.delete_at(session, kept_at)
            record_event(log, session, EventKind.CONFLICT_RETIRED, now, rule=rule, kept_at=kept_at)
        path.unlink(missing_ok=True)
        count += 1
    return count


def finish_retirement(sessions: SessionFactory, store: InstanceStore) -> int:
    """Remove files of retired studies and partly written files that killed processes left behind.

    Call the function once, before `retire`.

    Returns:
        Number of retired studies whose files were removed.

    Raises:
        TransientError: The storage root is not the one of the start, such as after a share was unmounted.
        OSError: The disk failed.
    """
    store.require()
    for kind in ("findings", "results", "pictures"):
        remove_unfinished(store.root / kind, RECENT_S)
    retired = RetiredFiles(store.root)
    retired.recover()
    with reading(sessions)() as session:
        left = [uid for uid in retired.studies() if studies.state_of(session, uid) is StudyState.RETIRED]
        findings = {uid: _findings_paths(session, uid, store) for uid in left}
    for uid in left:
        retired.remove_study(uid, findings[uid])
    return len(left)


def _retire_before(
    received_before: datetime,
    limit: int,
    rule: str,
    sessions: SessionFactory,
    store: InstanceStore,
    retired: RetiredFiles,
    now: datetime,
) -> int:
    with sessions.begin() as session:
        done = studies.retirable(session, received_before, limit)
        findings = [_findings_paths(session, study.study_instance_uid, store) for study in done]
        for study in done:
            retire_one(session, study, rule, now)
    for study, files in zip(done, findings, strict=True):
        retired.remove_study(study.study_instance_uid, files)
    return len(done)


def retire_one(session: Session, study: Study, rule: str, now: datetime) -> None:
    """Set a study that is done or set aside to RETIRED, with `rule` as the reason; the caller removes its files."""
    uid = study.study_instance_uid
    studies.set_state(session, study, StudyState.RETIRED, rule, f"retired by {rule}; it was {study.state}")
    studies.delete_instances(session, uid)
    if study.standing is Standing.SET_ASIDE:
        deliveries.stop_unsent(session, uid, DeliveryState.ABANDONED, f"set aside, and retired by {rule} since")
    facts = EventDetail(rule=rule, was=str(study.state), instances=len(study.instances))
    record_event(log, session, EventKind.STUDY_RETIRED, now, study_instance_uid=uid, **facts)


def _findings_paths(session: Session, study_instance_uid: str, store: InstanceStore) -> list[str]:
    of_jobs = (findings_path(store.root, job.job_id) for job in jobs.of_study(session, study_instance_uid))
    return [str(path.relative_to(store.root)) for path in of_jobs if path.exists()]
