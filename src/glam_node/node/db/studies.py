"""Studies and their instances."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, or_, select
from sqlalchemy.orm import Session

from glam_node.kinds.predicates import STANDARD_VIEWS
from glam_node.node.db import canary, conflicts
from glam_node.node.db.changes import MOST_VALUES, insert_missing
from glam_node.node.db.instances import as_instance, with_patient
from glam_node.node.db.jobs import UNFINISHED
from glam_node.node.db.tables import ConflictRow, DeliveryRow, InstanceRow, JobRow, StudyRow
from glam_node.node.domain.completeness import AssemblyPolicy
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.eligibility import is_mammogram
from glam_node.node.domain.instance import SOPInstance, StudyAttributes
from glam_node.node.domain.job import JobState
from glam_node.node.domain.study import LEGAL_TRANSITIONS, Standing, Study, StudyState
from glam_node.node.domain.words import by_number, counted
from glam_node.node.errors import PermanentError

_LOCK = {"key_share": True}


def find_instance(session: Session, sop_instance_uid: str) -> SOPInstance | None:
    """Return the instance; None if it is not recorded."""
    row = session.get(InstanceRow, sop_instance_uid)
    return None if row is None else as_instance(row)


def add_instance(session: Session, instance: SOPInstance, attributes: StudyAttributes) -> SOPInstance:
    """Add an instance to its study, which is created if it is new; return the instance as recorded.

    A late mammogram reopens the study. Other objects, such as SEG, SR and returning results of this node, do not. The
    first Patient ID that an instance states becomes the study's, and an instance with another one is marked
    `patient_mismatch`. Whether all images are of one person is decided when its eligibility is judged.
    """
    insert_missing(session, StudyRow, [new_study(instance, attributes)])
    study = session.get_one(StudyRow, instance.study_instance_uid, with_for_update=_LOCK, populate_existing=True)
    known = (study.issuer_of_patient_id, study.patient_id)
    (study.issuer_of_patient_id, study.patient_id), instance = with_patient(known, attributes, instance)
    insert_missing(session, InstanceRow, [asdict(instance)])
    study.last_received_at = max(study.last_received_at, instance.received_at)
    if study.state != StudyState.RECEIVING and is_mammogram(instance):
        _move(study, StudyState.RECEIVING, "", "")
        study.receiving_since = instance.received_at
    return instance


def new_study(instance: SOPInstance, attributes: StudyAttributes) -> dict[str, object]:
    """Return the columns of a new study with its first instance."""
    return {
        "study_instance_uid": instance.study_instance_uid,
        **asdict(attributes),
        "state": StudyState.RECEIVING,
        "rule": "",
        "reason": "",
        "first_received_at": instance.received_at,
        "receiving_since": instance.received_at,
        "last_received_at": instance.received_at,
    }


def find_instances(session: Session, sop_instance_uids: Sequence[str]) -> list[SOPInstance]:
    """Return the instances in the given order.

    Raises:
        PermanentError: An instance is not recorded.
    """
    found = recorded_instances(session, sop_instance_uids)
    missing = [uid for uid in sop_instance_uids if uid not in found]
    if missing:
        images, them = counted(len(missing), "image"), by_number(len(missing), "it", "them")
        raise PermanentError(f"No record is kept any more of {images}: {', '.join(missing)}. Send {them} again.")
    return [found[uid] for uid in sop_instance_uids]


def recorded_instances(session: Session, sop_instance_uids: Sequence[str]) -> dict[str, SOPInstance]:
    """Return the recorded ones of these instances by SOP Instance UID; their number is not limited."""
    found = {}
    for first in range(0, len(sop_instance_uids), MOST_VALUES):
        some = sop_instance_uids[first : first + MOST_VALUES]
        rows = session.scalars(select(InstanceRow).where(InstanceRow.sop_instance_uid.in_(some)))
        found.update({row.sop_instance_uid: as_instance(row) for row in rows})
    return found


def get(session: Session, study_instance_uid: str, *, for_update: bool = False) -> Study | None:
    """Return the study with its instances, None if it is unknown; `for_update` locks it until the transaction ends."""
    query = select(StudyRow).where(StudyRow.study_instance_uid == study_instance_uid)
    if for_update:
        query = query.with_for_update(key_share=True)
    return next(iter(_studies(session, query)), None)


def get_many(session: Session, study_instance_uids: Sequence[str]) -> list[Study]:
    """Return the known ones of these studies, in the given order."""
    query = select(StudyRow).where(StudyRow.study_instance_uid.in_(study_instance_uids))
    found = {study.study_instance_uid: study for study in _studies(session, query)}
    return [found[uid] for uid in study_instance_uids if uid in found]


def last_received_at(session: Session) -> datetime | None:
    """Return the time at which the last instance was received; None if there was none. Canaries do not count."""
    query = select(StudyRow.last_received_at).where(canary.of_patients(StudyRow.study_instance_uid))
    return session.scalar(query.order_by(StudyRow.last_received_at.desc()).limit(1))


def state_of(session: Session, study_instance_uid: str) -> StudyState | None:
    """Return the state of the study; None if it is unknown."""
    state = session.scalar(select(StudyRow.state).where(StudyRow.study_instance_uid == study_instance_uid))
    return None if state is None else StudyState(state)


def patients(session: Session, study_instance_uids: Collection[str]) -> dict[str, tuple[str, str]]:
    """Return issuer and Patient ID of each known study, by Study Instance UID."""
    known = select(StudyRow.study_instance_uid, StudyRow.issuer_of_patient_id, StudyRow.patient_id)
    query = known.where(StudyRow.study_instance_uid.in_(study_instance_uids))
    return {uid: (issuer, patient_id) for uid, issuer, patient_id in session.execute(query)}


def recent(session: Session, limit: int) -> list[Study]:
    """Return the `limit` studies that received an instance last, the latest first."""
    return _studies(session, select(StudyRow).order_by(StudyRow.last_received_at.desc()).limit(limit))


def counts_by_state(session: Session) -> dict[StudyState, int]:
    """Return the number of studies by state; states without studies are left out, and canaries do not count."""
    query = select(StudyRow.state, func.count()).group_by(StudyRow.state)
    counts = Counter({state: count for state, count in session.execute(query)})
    canaries = query.where(StudyRow.study_instance_uid.in_(canary.present()))
    counts.subtract({state: count for state, count in session.execute(canaries)})
    return {StudyState(state): count for state, count in counts.items() if count}


def possibly_complete(
    session: Session, policy: AssemblyPolicy, now: datetime, limit: int, released: Collection[str] = ()
) -> list[Study]:
    """Return receiving studies that may be complete, and lock their rows until the transaction ends.

    If an archive confirms studies, a study that is past its settle time but not past its quiet time or maximum age is
    returned only if it is in `released`.
    """
    mammograms = (
        select(func.count())
        .where(InstanceRow.study_instance_uid == StudyRow.study_instance_uid)
        .where(InstanceRow.attributes["modality"].as_string() == "MG")
        .scalar_subquery()
    )
    settled = StudyRow.last_received_at <= now - timedelta(seconds=policy.settle_time_s)
    quiet = StudyRow.last_received_at <= now - timedelta(seconds=policy.quiet_time_s)
    old = StudyRow.receiving_since <= now - timedelta(seconds=policy.maximum_age_s)
    whole = StudyRow.study_instance_uid.in_(released) if policy.confirms else mammograms >= len(STANDARD_VIEWS)
    due = or_(quiet, old, and_(settled, whole))
    return _locked(session, and_(StudyRow.state == StudyState.RECEIVING, due), limit)


def settled(session: Session, received_before: datetime, limit: int, *, but_not: Collection[str]) -> list[Study]:
    """Return receiving studies, except `but_not`, that got no instance since `received_before`, longest quiet first."""
    quiet = and_(StudyRow.state == StudyState.RECEIVING, StudyRow.last_received_at <= received_before)
    query = select(StudyRow).where(quiet, StudyRow.study_instance_uid.not_in(but_not))
    return _studies(session, query.order_by(StudyRow.last_received_at).limit(limit))


def settles_next(session: Session, after: datetime) -> datetime | None:
    """Return the earliest time after `after` at which a receiving study got its last instance; None without any."""
    later = and_(StudyRow.state == StudyState.RECEIVING, StudyRow.last_received_at > after)
    return session.scalars(select(func.min(StudyRow.last_received_at)).where(later)).one()


def waiting_for_judgement(session: Session, limit: int) -> list[Study]:
    """Return free studies that wait for judgement, and lock their rows until the transaction ends."""
    waits = and_(StudyRow.state == StudyState.COMPLETE, StudyRow.standing == Standing.FREE)
    return _locked(session, waits, limit)


def retirable(session: Session, received_before: datetime, limit: int) -> list[Study]:
    """Lock and return done and set-aside studies without an instance since `received_before`, the oldest first."""
    set_aside = and_(StudyRow.standing == Standing.SET_ASIDE, StudyRow.state != StudyState.RETIRED)
    return _locked(session, and_(or_(_is_done(), set_aside), StudyRow.last_received_at < received_before), limit)


def done(session: Session) -> set[str]:
    """Return the UIDs of the studies that are done and not retired."""
    return set(session.scalars(select(StudyRow.study_instance_uid).where(_is_done())))


def not_retired(session: Session) -> Iterator[Study]:
    """Yield every study that is not retired, sorted by UID."""
    query = select(StudyRow.study_instance_uid).where(StudyRow.state != StudyState.RETIRED)
    for uid in session.scalars(query.order_by(StudyRow.study_instance_uid)).all():
        yield from _studies(session, select(StudyRow).where(StudyRow.study_instance_uid == uid))


def _is_done() -> ColumnElement[bool]:
    """Return the condition that a study is done.

    It is free, REPORTED or INELIGIBLE, none of its jobs is unfinished or failed, none of its deliveries is pending,
    given up or in a commitment request, and no person must decide about its images.
    """
    unfinished = exists().where(
        JobRow.study_instance_uid == StudyRow.study_instance_uid,
        JobRow.state.in_((*UNFINISHED, JobState.FAILED)),
    )
    undelivered = exists().where(
        DeliveryRow.study_instance_uid == StudyRow.study_instance_uid,
        or_(
            DeliveryRow.state.in_((DeliveryState.PENDING, DeliveryState.ABANDONED)),
            and_(DeliveryRow.state == DeliveryState.STORED, DeliveryRow.transaction_uid != ""),
        ),
    )
    ended = and_(StudyRow.standing == Standing.FREE, StudyRow.state.in_((StudyState.REPORTED, StudyState.INELIGIBLE)))
    return and_(ended, ~unfinished, ~undelivered, ~conflicts.needs_a_person())


def delete_instances(session: Session, study_instance_uid: str) -> None:
    """Delete the records of all instances of the study, newer versions included."""
    for row in (InstanceRow, ConflictRow):
        session.execute(delete(row).where(row.study_instance_uid == study_instance_uid))


def set_state(session: Session, study: Study, state: StudyState, rule: str, reason: str) -> Study:
    """Move the study to `state` because of `rule`, and return it.

    Raises:
        ValueError: The transition is not legal.
    """
    row = session.get_one(StudyRow, study.study_instance_uid, with_for_update=_LOCK)
    _move(row, state, rule, reason)
    return replace(study, state=state, rule=rule, reason=reason)


def reopen(session: Session, study_instance_uid: str, now: datetime) -> None:
    """Return the study to RECEIVING from any state, because its images were replaced."""
    row = session.get_one(StudyRow, study_instance_uid, with_for_update=_LOCK, populate_existing=True)
    if row.state != StudyState.RECEIVING:
        _move(row, StudyState.RECEIVING, "", "")
        row.receiving_since = now


def _move(row: StudyRow, state: StudyState, rule: str, reason: str) -> None:
    if state not in LEGAL_TRANSITIONS[StudyState(row.state)]:
        raise ValueError(f"study {row.study_instance_uid} cannot go from {row.state} to {state}")
    row.state, row.rule, row.reason, row.version = state, rule, reason, StudyRow.version + 1


def _locked(session: Session, condition: ColumnElement[bool], limit: int) -> list[Study]:
    query = select(StudyRow).where(condition).order_by(StudyRow.last_received_at).limit(limit)
    return _studies(session, query.with_for_update(skip_locked=True, key_share=True))


def _studies(session: Session, query: Select[Any]) -> list[Study]:
    rows = session.scalars(query.execution_options(populate_existing=True)).all()
    instances = _instances_of(session, [row.study_instance_uid for row in rows])
    return [_study(row, instances[row.study_instance_uid]) for row in rows]


def _instances_of(session: Session, uids: Sequence[str]) -> dict[str, list[SOPInstance]]:
    query = (
        select(InstanceRow)
        .where(InstanceRow.study_instance_uid.in_(uids))
        .order_by(InstanceRow.received_at, InstanceRow.sop_instance_uid)
    )
    instances: dict[str, list[SOPInstance]] = defaultdict(list)
    for row in session.scalars(query):
        instances[row.study_instance_uid].append(as_instance(row))
    return instances


def _study(row: StudyRow, instances: Iterable[SOPInstance]) -> Study:
    return Study(
        study_instance_uid=row.study_instance_uid,
        attributes=StudyAttributes(
            patient_id=row.patient_id,
            issuer_of_patient_id=row.issuer_of_patient_id,
            accession_number=row.accession_number,
            study_date=row.study_date,
            study_description=row.study_description,
        ),
        state=StudyState(row.state),
        rule=row.rule,
        reason=row.reason,
        first_received_at=row.first_received_at,
        receiving_since=row.receiving_since,
        last_received_at=row.last_received_at,
        instances=tuple(instances),
        standing=Standing(row.standing),
        standing_reason=row.standing_reason,
        version=row.version,
    )
