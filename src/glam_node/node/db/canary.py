"""Canaries, and the conditions that leave their studies out of the statistics of patients."""

import hashlib
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Select, delete, exists, func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from glam_node.node.db.tables import (
    BackfillRow,
    CanaryRow,
    ConflictRow,
    DeliveryRow,
    InstanceRow,
    JobRow,
    StudyRow,
)
from glam_node.node.domain.canary import AE_TITLE, JUDGED, UNFINISHED, CanaryRun, CanaryState, Observation


def present() -> Select[str]:
    """Return a query of the canaries whose study the node may have; there are two at most."""
    return select(CanaryRow.study_instance_uid).where(CanaryRow.present)


def of_patients(study_instance_uid: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """Return the condition that the row's study is not a canary that the node has."""
    return study_instance_uid.not_in(present())


def ever() -> Select[str]:
    """Return a query of all recorded canaries, for rows that outlive their study."""
    return select(CanaryRow.study_instance_uid)


def is_present(session: Session, study_instance_uid: str) -> bool:
    """Return whether the study is a canary that the node has."""
    return session.scalar(present().where(CanaryRow.study_instance_uid == study_instance_uid)) is not None


def request(session: Session, now: datetime, *, scheduled: bool) -> CanaryRun:
    """Return the unfinished canary; if there is none, add one, which the dispatcher then sends."""
    known = unfinished(session)
    if known is not None:
        return known
    row = CanaryRow(
        study_instance_uid=f"2.25.{uuid4().int}",
        state=CanaryState.REQUESTED,
        scheduled=scheduled,
        requested_at=now,
        next_attempt_at=now,
        pass_code_digest="",
        failure="",
        remark="",
        observation={},
        stages=[],
        present=False,
    )
    session.add(row)
    session.flush()
    return _run(row)


def get(session: Session, run_id: int) -> CanaryRun | None:
    """Return the canary; None if it is unknown."""
    row = session.get(CanaryRow, run_id, populate_existing=True)
    return None if row is None else _run(row)


def unfinished(session: Session) -> CanaryRun | None:
    """Return the oldest unfinished canary; None if there is none."""
    query = select(CanaryRow).where(CanaryRow.state.in_(UNFINISHED)).order_by(CanaryRow.run_id).limit(1)
    return _first(session, query)


def last_judged(session: Session) -> CanaryRun | None:
    """Return the newest canary with a verdict; None if there is none."""
    query = select(CanaryRow).where(CanaryRow.state.in_(JUDGED)).order_by(CanaryRow.run_id.desc()).limit(1)
    return _first(session, query)


def last_passed(session: Session) -> CanaryRun | None:
    """Return the newest canary that passed; None if there is none."""
    passed = CanaryRow.state == CanaryState.PASSED
    return _first(session, select(CanaryRow).where(passed).order_by(CanaryRow.run_id.desc()).limit(1))


def first_passed(session: Session, algorithm: str) -> CanaryRun | None:
    """Return the oldest canary that passed with this algorithm; None if there is none."""
    passed = CanaryRow.state == CanaryState.PASSED, CanaryRow.observation["algorithm"].as_string() == algorithm
    return _first(session, select(CanaryRow).where(*passed).order_by(CanaryRow.run_id).limit(1))


def counts(session: Session) -> dict[CanaryState, int]:
    """Return the number of canaries with a verdict, by verdict."""
    query = select(CanaryRow.state, func.count()).where(CanaryRow.state.in_(JUDGED)).group_by(CanaryRow.state)
    return dict.fromkeys(JUDGED, 0) | {CanaryState(state): count for state, count in session.execute(query)}


def kept(session: Session) -> list[CanaryRun]:
    """Return the finished canaries whose study the node may still have."""
    query = select(CanaryRow).where(CanaryRow.present, CanaryRow.state.not_in(UNFINISHED))
    return [_run(row) for row in session.scalars(query.order_by(CanaryRow.run_id))]


def begin_sending(session: Session, run: CanaryRun, pass_code: str) -> bool:
    """Set a REQUESTED canary to SENDING; return False if another process has done so."""
    digest = hashlib.sha256(pass_code.encode()).hexdigest()
    state = CanaryState.SENDING
    return _change(session, run, CanaryState.REQUESTED, state=state, pass_code_digest=digest, present=True)


def admitted_study(session: Session, pass_code: str) -> str:
    """Return the study that the holder of this pass code may send now; empty if the pass code is not valid."""
    digest = hashlib.sha256(pass_code.encode()).hexdigest()
    valid = CanaryRow.state == CanaryState.SENDING, CanaryRow.pass_code_digest == digest
    return session.scalar(select(CanaryRow.study_instance_uid).where(*valid)) or ""


def send_again(session: Session, run: CanaryRun, at: datetime, failure: str) -> None:
    """Record that the images are to be sent again later."""
    _change(
        session,
        run,
        CanaryState.SENDING,
        state=CanaryState.REQUESTED,
        next_attempt_at=at,
        failure=failure,
        pass_code_digest="",
    )


def set_sent(session: Session, run: CanaryRun, now: datetime) -> None:
    """Record that the node has stored all images."""
    state = CanaryState.WAITING
    _change(session, run, CanaryState.SENDING, state=state, sent_at=now, pass_code_digest="", failure="")


def finish(
    session: Session,
    run: CanaryRun,
    state: CanaryState,
    now: datetime,
    *,
    failure: str = "",
    observation: Observation | None = None,
    stages: tuple[tuple[str, float], ...] = (),
) -> None:
    """Record the verdict."""
    seen = observation or Observation()
    stored = exists().where(StudyRow.study_instance_uid == run.study_instance_uid)
    _change(
        session,
        run,
        run.state,
        state=state,
        finished_at=now,
        failure=failure,
        pass_code_digest="",
        observation={"algorithm": seen.algorithm, "scores": dict(seen.scores), "lesions": list(seen.lesions)},
        stages=[list(stage) for stage in stages],
        present=bool(session.scalar(select(stored))),
    )


def set_absent(session: Session, run: CanaryRun, remark: str) -> None:
    """Record that the node has no study of the canary: it was removed, or counts from now on like those of patients."""
    session.execute(update(CanaryRow).where(CanaryRow.run_id == run.run_id).values(present=False, remark=remark))


def others_images(session: Session, run: CanaryRun) -> bool:
    """Return whether the canary's study has images that the canary did not send."""
    of_study = InstanceRow.study_instance_uid == run.study_instance_uid
    return bool(session.scalar(select(exists().where(of_study, InstanceRow.calling_ae_title != AE_TITLE))))


def delete_study(session: Session, run: CanaryRun, remark: str) -> list[str]:
    """Delete all records of the canary's study but its events, and return the IDs of its jobs.

    The canary counts as present until `set_absent`, which comes after its files are removed.
    """
    uid = run.study_instance_uid
    session.scalars(select(StudyRow.study_instance_uid).where(StudyRow.study_instance_uid == uid).with_for_update())
    own = select(JobRow.job_id).where(JobRow.study_instance_uid == uid).order_by(JobRow.job_id)
    jobs = list(session.scalars(own.with_for_update()))  # before the deliveries, see `changes`
    for row in (DeliveryRow, JobRow, ConflictRow, InstanceRow, BackfillRow, StudyRow):
        session.execute(delete(row).where(row.study_instance_uid == uid))
    session.execute(update(CanaryRow).where(CanaryRow.run_id == run.run_id).values(remark=remark))
    return jobs


def forget(session: Session, before: datetime, keep: timedelta) -> None:
    """Delete canaries of long ago, except the first of each algorithm and the last that passed."""
    old = CanaryRow.finished_at < before - keep
    algorithm = CanaryRow.observation["algorithm"].as_string()
    passed = select(func.min(CanaryRow.run_id)).where(CanaryRow.state == CanaryState.PASSED).group_by(algorithm)
    last = select(func.max(CanaryRow.run_id)).where(CanaryRow.state == CanaryState.PASSED)
    first_ids, last_ids = list(session.scalars(passed)), list(session.scalars(last))
    spared = [one for one in (*first_ids, *last_ids) if one is not None]
    session.execute(delete(CanaryRow).where(old, ~CanaryRow.present, CanaryRow.run_id.not_in(spared)))


def _change(session: Session, run: CanaryRun, was: CanaryState, /, **values: Any) -> bool:
    row = session.get(CanaryRow, run.run_id, with_for_update=True, populate_existing=True)
    if row is None or row.state != was:
        return False
    for name, value in values.items():
        setattr(row, name, value)
    session.flush()
    return True


def _first(session: Session, query: Select[Any]) -> CanaryRun | None:
    row = session.scalar(query)
    return None if row is None else _run(row)


def _run(row: CanaryRow) -> CanaryRun:
    seen = row.observation
    return CanaryRun(
        row.run_id,
        row.study_instance_uid,
        CanaryState(row.state),
        row.scheduled,
        row.requested_at,
        row.next_attempt_at,
        row.sent_at,
        row.finished_at,
        row.failure,
        row.remark,
        Observation(seen.get("algorithm", ""), seen.get("scores", {}), tuple(seen.get("lesions", ()))),
        tuple((name, seconds) for name, seconds in row.stages),
        row.present,
    )
