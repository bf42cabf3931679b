"""Searches for prior exams, and the exams found."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from glam_node.node.db.changes import insert_missing
from glam_node.node.db.tables import PriorSearchRow, PriorStudyRow, StudyRow
from glam_node.node.domain.archived import ArchivedStudy, StudyQuery
from glam_node.node.domain.prior import PriorPlan, PriorSearch, PriorState, PriorStudy, SearchState
from glam_node.node.domain.study import StudyState


def open_search(session: Session, study_instance_uid: str, plan: PriorPlan, now: datetime) -> PriorSearch:
    """Open the search for the prior exams of a study; exams that an earlier search found are considered again."""
    # Exams are locked before their search everywhere, so that no two transactions wait for each other.
    again = PriorStudyRow.study_instance_uid == study_instance_uid, PriorStudyRow.state == PriorState.UNUSABLE
    session.execute(update(PriorStudyRow).where(*again).values(state=PriorState.FOUND, failure=""))
    row = session.get(PriorSearchRow, study_instance_uid)
    if row is None:
        row = PriorSearchRow(study_instance_uid=study_instance_uid)
        session.add(row)
    row.plan, row.state, row.until = asdict(plan), SearchState.OPEN, now + timedelta(seconds=plan.wait_s)
    row.is_searched, row.failure, row.opened_at = False, "", now
    session.flush()
    return _searches(session, [row])[0]


def find(session: Session, study_instance_uid: str) -> PriorSearch | None:
    """Return the search for the prior exams of a study; None if there was none."""
    row = session.get(PriorSearchRow, study_instance_uid, populate_existing=True)
    return None if row is None else _searches(session, [row])[0]


def open_searches(session: Session, limit: int) -> list[PriorSearch]:
    """Return open searches, those first that end first."""
    query = select(PriorSearchRow).where(PriorSearchRow.state == SearchState.OPEN)
    return _found(session, query.order_by(PriorSearchRow.until).limit(limit))


def recent(session: Session, limit: int) -> list[PriorSearch]:
    """Return the last searches, open or not, the newest first."""
    return _found(session, select(PriorSearchRow).order_by(PriorSearchRow.opened_at.desc()).limit(limit))


def late_since(session: Session, since: datetime) -> list[PriorSearch]:
    """Return the searches whose time was over since `since` before their prior exams were ready, the newest first."""
    late = PriorSearchRow.state == SearchState.EXPIRED, PriorSearchRow.until >= since
    return _found(session, select(PriorSearchRow).where(*late).order_by(PriorSearchRow.until.desc()))


def count_open(session: Session) -> int:
    """Return the number of studies whose analysis waits for prior exams."""
    return session.scalar(select(func.count()).where(PriorSearchRow.state == SearchState.OPEN)) or 0


def fetched_studies() -> Select[str]:
    """Return the query for the UIDs of studies that the node has only as prior exams."""
    return select(PriorStudyRow.prior_study_instance_uid).where(PriorStudyRow.fetched_for_this)


def counts_since(session: Session, since: datetime) -> dict[SearchState, int]:
    """Return the number of searches that were opened since a time, by state."""
    query = select(PriorSearchRow.state, func.count()).where(PriorSearchRow.opened_at >= since)
    counted = session.execute(query.group_by(PriorSearchRow.state))
    return dict.fromkeys(SearchState, 0) | {SearchState(state): count for state, count in counted}


def add_found(session: Session, study_instance_uid: str, found: Iterable[ArchivedStudy]) -> None:
    """Add exams that were found for a study; those that are known keep their state."""
    rows = [
        {
            "study_instance_uid": study_instance_uid,
            "prior_study_instance_uid": one.study_instance_uid,
            "study_date": one.study_date,
            "state": PriorState.FOUND,
            "failure": "",
            "fetched_for_this": False,
        }
        for one in found
    ]
    insert_missing(session, PriorStudyRow, rows)


def set_searched(session: Session, study_instance_uid: str, failure: str = "", *, is_searched: bool = True) -> None:
    """Record the answer of the archive, or its failure."""
    row = session.get_one(PriorSearchRow, study_instance_uid)
    row.is_searched, row.failure = is_searched, failure


def begin_fetch(session: Session, study_instance_uid: str, prior: str) -> bool:
    """Record that a prior exam is about to be fetched; return False if the node has it, so that it is not fetched.

    A study that the node has for its own sake is never fetched again, since a late image would be reported.
    """
    study = session.get(StudyRow, prior)
    has_it = study is not None and study.state != StudyState.RETIRED
    rows = session.scalars(select(PriorStudyRow).where(PriorStudyRow.prior_study_instance_uid == prior)).all()
    fetched = [row for row in rows if row.fetched_for_this]
    if has_it and (not fetched or any(row.state in (PriorState.FETCHED, PriorState.READY) for row in fetched)):
        return False
    session.get_one(PriorStudyRow, (study_instance_uid, prior)).fetched_for_this = True
    return True


def end_fetch(session: Session, study_instance_uid: str, prior: str) -> None:
    """Record that the fetch of a prior exam is over; an exam that did not come may come later for its own sake."""
    if session.get(StudyRow, prior) is None:
        session.get_one(PriorStudyRow, (study_instance_uid, prior)).fetched_for_this = False


def known_exams(session: Session, query: StudyQuery) -> list[ArchivedStudy]:
    """Return the exams of a patient that the node has itself, in a range of dates."""
    rows = session.scalars(
        select(StudyRow)
        .where(StudyRow.patient_id == query.patient_id, StudyRow.state != StudyState.RETIRED)
        .where(StudyRow.study_date.between(query.date_from, query.date_to))
        .order_by(StudyRow.study_date.desc())
        .limit(query.limit)
    )
    return [
        ArchivedStudy(
            row.study_instance_uid,
            row.patient_id,
            row.accession_number,
            row.study_date,
            issuer_of_patient_id=row.issuer_of_patient_id,
        )
        for row in rows
    ]


def set_prior(session: Session, study_instance_uid: str, prior: str, state: PriorState, failure: str = "") -> None:
    """Set the state of a prior exam."""
    row = session.get_one(PriorStudyRow, (study_instance_uid, prior))
    row.state, row.failure = state, failure


def close(session: Session, study_instance_uid: str, state: SearchState) -> None:
    """End a search."""
    session.get_one(PriorSearchRow, study_instance_uid).state = state


def searches_that_fetched(session: Session, prior_uids: Collection[str]) -> dict[str, PriorSearch]:
    """Return, for each of these studies that the node has only as a prior exam, the search that fetched it.

    Of several searches, one that sends or else analyses its prior exams is returned.
    """
    query = (
        select(PriorStudyRow.prior_study_instance_uid, PriorSearchRow)
        .join(PriorSearchRow, PriorSearchRow.study_instance_uid == PriorStudyRow.study_instance_uid)
        .where(PriorStudyRow.prior_study_instance_uid.in_(prior_uids), PriorStudyRow.fetched_for_this)
        .order_by(PriorSearchRow.opened_at)
    )
    rows = session.execute(query).all() if prior_uids else []
    found: dict[str, PriorSearch] = {}
    for (prior, _), search in zip(rows, _searches(session, [row for _, row in rows]), strict=True):
        known = found.get(prior)
        if known is None or _weight(search) >= _weight(known):
            found[prior] = search
    return found


def _weight(search: PriorSearch) -> tuple[bool, bool]:
    return search.plan.send, search.plan.analyse


def _found(session: Session, query: Select[Any]) -> list[PriorSearch]:
    return _searches(session, session.scalars(query.execution_options(populate_existing=True)).all())


def _searches(session: Session, rows: Sequence[PriorSearchRow]) -> list[PriorSearch]:
    if not rows:
        return []
    uids = [row.study_instance_uid for row in rows]
    query = select(PriorStudyRow).where(PriorStudyRow.study_instance_uid.in_(uids))
    newest = query.order_by(PriorStudyRow.study_date.desc(), PriorStudyRow.prior_study_instance_uid.desc())
    priors: dict[str, list[PriorStudy]] = {}
    for row in session.scalars(newest.execution_options(populate_existing=True)):
        stated = PriorState(row.state), row.failure, row.fetched_for_this
        one = PriorStudy(row.prior_study_instance_uid, row.study_date, *stated)
        priors.setdefault(row.study_instance_uid, []).append(one)
    return [_search(row, priors.get(row.study_instance_uid, ())) for row in rows]


def _search(row: PriorSearchRow, priors: Sequence[PriorStudy]) -> PriorSearch:
    return PriorSearch(
        row.study_instance_uid,
        PriorPlan(**row.plan),
        SearchState(row.state),
        row.until,
        row.is_searched,
        row.failure,
        tuple(priors),
    )
