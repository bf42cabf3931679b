"""Merges of patients, and changes of the patients of studies."""

import hashlib
from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from glam_node.node.db.changes import insert_missing
from glam_node.node.db.tables import PatientChangeRow, PatientMergeRow, StudyRow
from glam_node.node.domain.patient_change import ChangeKind, CorrectedPatient, PatientChange, PatientMerge
from glam_node.node.domain.stated_patient import PatientIdentifier, StatedPatient
from glam_node.node.domain.study import Standing, StudyState

_MOST_MERGES = 10
"""Longest chain of merges that is followed."""


def studies_of(session: Session, patient_ids: Collection[str]) -> list[str]:
    """Return the UIDs of the studies whose images or results have one of these Patient IDs, in order of their keys.

    Results have another Patient ID than the images if they follow a merge.
    """
    named = [one for one in patient_ids if one]
    followed = PatientChangeRow.follows.is_(True) & PatientChangeRow.patient_id.in_(named)
    queries = (
        select(StudyRow.study_instance_uid).where(StudyRow.patient_id.in_(named)),
        select(PatientChangeRow.study_instance_uid).where(followed),
    )
    return sorted({uid for query in queries for uid in session.scalars(query)})


def of_study(session: Session, study_instance_uid: str) -> PatientChange | None:
    """Return the change of the patient of a study; None if there is none."""
    row = session.get(PatientChangeRow, study_instance_uid, populate_existing=True)
    if row is None:
        return None
    patient = CorrectedPatient(**row.patient)
    return PatientChange(
        row.study_instance_uid, ChangeKind(row.kind), row.follows, row.reason, patient, row.at, row.settled_at
    )


def followed(session: Session, study_instance_uid: str) -> CorrectedPatient | None:
    """Return the patient that the results of a study name; None for the patient in its images."""
    change = of_study(session, study_instance_uid)
    return change.patient if change is not None and change.follows and change.settled_at is None else None


def set_change(session: Session, change: PatientChange) -> None:
    """Record the change of the patient of a study, in place of an earlier one."""
    values: dict[str, Any] = {
        "kind": change.kind,
        "follows": change.follows,
        "reason": change.reason,
        "patient_id": change.patient.patient_id,
        "patient": asdict(change.patient),
        "at": change.at,
        "settled_at": change.settled_at,
    }
    insert_missing(session, PatientChangeRow, [{"study_instance_uid": change.study_instance_uid, **values}])
    row = session.get_one(PatientChangeRow, change.study_instance_uid, populate_existing=True)
    for name, value in values.items():
        setattr(row, name, value)
    session.flush()


def settle(session: Session, study_instance_uid: str, now: datetime) -> None:
    """Record that a person has decided about the change of a study: its results name the patient in the images."""
    row = session.get(PatientChangeRow, study_instance_uid)
    if row is not None and row.settled_at is None and not row.follows:
        row.settled_at = now


def add_merge(session: Session, merge: PatientMerge, now: datetime) -> None:
    """Record a merge, for studies that arrive later with the prior Patient ID."""
    prior = merge.prior
    opposite = select(PatientMergeRow).where(PatientMergeRow.prior_patient_id == merge.surviving.identifiers[0].value)
    for older in session.scalars(opposite).all():
        if _merge(older.merge).surviving.identifiers[0].is_same_as(prior):
            session.delete(older)
    parts = [prior.authority.casefold(), prior.value] + ([prior.universal_id] if prior.universal_id else [])
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    values = {"prior_patient_id": merge.prior.value, "merge": asdict(merge), "at": now}
    insert_missing(session, PatientMergeRow, [{"merge_key": key, **values}])
    row = session.get_one(PatientMergeRow, key, populate_existing=True)
    row.merge, row.at = asdict(merge), now


def merges_of(session: Session, patient_id: str) -> list[PatientMerge]:
    """Return the merges of a Patient ID into others, with the patient that survives after all later merges."""
    query = select(PatientMergeRow).where(PatientMergeRow.prior_patient_id == patient_id)
    found = []
    for row in session.scalars(query.order_by(PatientMergeRow.merge_key)) if patient_id else ():
        merge = _merge(row.merge)
        last, is_sure = _last(session, merge.surviving, {patient_id})
        is_circle = last.identifiers[0].value == patient_id
        found.append(PatientMerge(merge.prior, last, merge.is_sure and is_sure and not is_circle))
    return found


def ids_after_merges(session: Session, identifier: PatientIdentifier) -> list[PatientIdentifier]:
    """Return an ID and, where it was surely merged into another one, the ID that survives."""
    merges = [one for one in merges_of(session, identifier.value) if one.is_sure and one.prior.is_surely(identifier)]
    return [identifier, *(one.surviving.identifiers[0] for one in merges)]


def _last(session: Session, patient: StatedPatient, seen: set[str]) -> tuple[StatedPatient, bool]:
    """Return the patient after all later merges, and False if another one may concern her."""
    for _ in range(_MOST_MERGES):
        identifier = patient.identifiers[0]
        query = select(PatientMergeRow).where(PatientMergeRow.prior_patient_id == identifier.value)
        later = [_merge(row.merge) for row in session.scalars(query)]
        same = [one for one in later if one.prior.is_same_as(identifier)]
        if len(same) > 1 or any(one.prior.is_same_as(identifier) is None for one in later):
            return patient, False
        if not same:
            return patient, True
        if identifier.value in seen or not same[0].is_sure:
            return patient, False
        seen.add(identifier.value)
        patient = same[0].surviving
    return patient, False


def arrived(session: Session) -> list[str]:
    """Return the UIDs of the studies that are complete and wait for their judgement, in order of their keys."""
    waits = (StudyRow.state == StudyState.COMPLETE, StudyRow.standing == Standing.FREE)
    return list(
        session.scalars(select(StudyRow.study_instance_uid).where(*waits).order_by(StudyRow.study_instance_uid))
    )


def _merge(stored: dict[str, Any]) -> PatientMerge:
    surviving = stored["surviving"]
    identifiers = tuple(PatientIdentifier(**one) for one in surviving["identifiers"])
    return PatientMerge(
        PatientIdentifier(**stored["prior"]),
        StatedPatient(**{**surviving, "identifiers": identifiers}),
        stored.get("is_sure", True),
    )
