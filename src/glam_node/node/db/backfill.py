"""Studies that `glam-node backfill` fetches, and its progress."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, exists, func, or_, select, update
from sqlalchemy.orm import Session

from glam_node.node.db.changes import MOST_VALUES, insert_missing
from glam_node.node.db.jobs import UNFINISHED
from glam_node.node.db.tables import BackfillRow, JobRow, StudyRow
from glam_node.node.domain.archived import ArchivedStudy
from glam_node.node.domain.backfill import BackfillState, BackfillStudy
from glam_node.node.domain.study import Standing, StudyState


def add(session: Session, source: str, studies: Iterable[ArchivedStudy], now: datetime) -> None:
    """Add studies that are to be fetched; those that an earlier run failed to fetch are tried again."""
    rows = [
        {
            "study_instance_uid": one.study_instance_uid,
            "source": source,
            "patient_id": one.patient_id,
            "accession_number": one.accession_number,
            "study_date": one.study_date,
            "state": BackfillState.WAITING,
            "low_priority": False,
            "failure": "",
            "changed_at": now,
        }
        for one in studies
    ]
    insert_missing(session, BackfillRow, rows)
    for uids in _portions([str(row["study_instance_uid"]) for row in rows]):
        failed = BackfillRow.study_instance_uid.in_(uids), BackfillRow.state == BackfillState.FAILED
        session.execute(update(BackfillRow).where(*failed).values(state=BackfillState.WAITING, source=source))


def known(session: Session, study_instance_uids: Collection[str]) -> list[BackfillStudy]:
    """Return the recorded ones of these studies, the newest Study Date first."""
    rows: list[BackfillRow] = []
    for uids in _portions(study_instance_uids):
        rows += session.scalars(select(BackfillRow).where(BackfillRow.study_instance_uid.in_(uids)))
    found = [BackfillStudy(_archived(row), BackfillState(row.state), row.failure) for row in rows]
    return sorted(found, key=lambda one: (one.study.study_date, one.study.study_instance_uid), reverse=True)


def begin(session: Session, study_instance_uid: str, now: datetime) -> None:
    """Record that a study is about to be fetched: unless the node knows it already, it gets the lowest priority."""
    is_known = session.get(StudyRow, study_instance_uid) is not None
    row = session.get_one(BackfillRow, study_instance_uid)
    row.low_priority, row.changed_at = row.low_priority or not is_known, now


def finish(session: Session, study_instance_uid: str, state: BackfillState, failure: str, now: datetime) -> None:
    """Record the outcome of fetching a study."""
    row = session.get_one(BackfillRow, study_instance_uid)
    row.state, row.failure, row.changed_at = state, failure, now


def has_low_priority(session: Session, study_instance_uid: str) -> bool:
    """Return whether a study came to the node by a backfill."""
    row = session.get(BackfillRow, study_instance_uid)
    return row is not None and row.low_priority


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of the backfills of one source."""

    counts: Mapping[BackfillState, int]
    changed_at: datetime
    """Time of the last change of any of its studies."""


def progress(session: Session) -> dict[str, Progress]:
    """Return the progress of the backfills of each source that had any."""
    query = select(BackfillRow.source, BackfillRow.state, func.count(), func.max(BackfillRow.changed_at))
    found: dict[str, Progress] = {}
    for source, state, count, changed_at in session.execute(query.group_by(BackfillRow.source, BackfillRow.state)):
        before = found.get(source, Progress({}, changed_at))
        counts = {**before.counts, BackfillState(state): count}
        found[source] = Progress(counts, max(before.changed_at, changed_at))
    return found


def unfinished(session: Session) -> int:
    """Return the number of fetched studies that the node is still to analyse by itself."""
    has_job = exists().where(JobRow.study_instance_uid == StudyRow.study_instance_uid, JobRow.state.in_(UNFINISHED))
    is_open = or_(
        StudyRow.state.in_((StudyState.RECEIVING, StudyState.COMPLETE)),
        and_(StudyRow.state == StudyState.SUBMITTED, has_job),
    )
    query = (
        select(func.count())
        .select_from(BackfillRow)
        .join(StudyRow, StudyRow.study_instance_uid == BackfillRow.study_instance_uid)
        .where(BackfillRow.state == BackfillState.FETCHED, StudyRow.standing == Standing.FREE, is_open)
    )
    return session.scalar(query) or 0


def _archived(row: BackfillRow) -> ArchivedStudy:
    return ArchivedStudy(row.study_instance_uid, row.patient_id, row.accession_number, row.study_date)


def _portions(uids: Collection[str]) -> Iterable[list[str]]:
    listed = list(uids)
    return (listed[first : first + MOST_VALUES] for first in range(0, len(listed), MOST_VALUES))
