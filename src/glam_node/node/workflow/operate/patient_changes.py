"""Patients that the hospital corrects or merges after the images came: results follow, or wait for a person.

A result on the wrong patient is the worst that can happen, so a study is held whenever there is a doubt.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from glam_node.node.db import alerts, deliveries, imaging_orders, jobs, patient_changes, studies
from glam_node.node.db.standing import hold_for_patient, holder, set_standing
from glam_node.node.domain.alert import Alert
from glam_node.node.domain.delivery import Delivery, DeliveryState
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.domain.patient_change import (
    ChangeKind,
    ChangePolicy,
    Comparison,
    CorrectedPatient,
    PatientChange,
    PatientMerge,
    compare_with_images,
)
from glam_node.node.domain.stated_patient import PatientIdentifier, StatedPatient
from glam_node.node.domain.study import Holder, Standing, Study, StudyState
from glam_node.node.domain.words import counted
from glam_node.node.workflow.record.events import record_event

log = structlog.get_logger(__name__)

NOT_SENT = "made before the patient was corrected"
_SENT = (DeliveryState.STORED, DeliveryState.COMMITTED)
_UNSENT = (DeliveryState.PENDING, DeliveryState.STANDBY, DeliveryState.ABANDONED)
_IN_PROGRESS = (StudyState.RECEIVING, StudyState.COMPLETE, StudyState.SUBMITTED)
_ON_ITS_WAY = timedelta(seconds=15)
"""Time for which a sender reserves a result; within it, the result may be on its way."""


def correct_patient(
    session: Session, stated: StatedPatient, policy: ChangePolicy, control_id: str, now: datetime
) -> str:
    """Compare a patient with the images of her studies on record, and let their results follow or wait.

    Returns:
        The number of studies that are concerned, in words without patient data.
    """
    numbers = [policy.named(one) for one in stated.identifiers]
    concerned = 0
    for study in _locked(session, [one.value for one in numbers]):
        followed = patient_changes.followed(session, study.study_instance_uid)
        if followed is not None:
            is_same = any(one.value == followed.patient_id for one in numbers)
            found = Comparison(is_same, differs=_differences(followed, stated))
        else:
            same = [one for one in numbers if one.value == study.attributes.patient_id]
            compared = [_compared(study, stated, one, policy) for one in same]
            found = next((one for one in compared if one.is_same_number), Comparison(False))
        if found.is_same_number and found.differs:
            change = _correction(study, stated, found, policy, now)
            concerned += _apply(session, study, change, control_id, now)
    return f"{counted(concerned, 'study')} concerned"


def _locked(session: Session, patient_ids: Sequence[str]) -> Iterator[Study]:
    """Yield the studies whose images or results have one of these Patient IDs, each locked, unless it is retired."""
    for uid in patient_changes.studies_of(session, patient_ids):
        study = studies.get(session, uid, for_update=True)
        if study is not None and study.state is not StudyState.RETIRED:
            yield study


def _differences(followed: CorrectedPatient, stated: StatedPatient) -> tuple[str, ...]:
    """Return the facts that a message states otherwise than the results that follow an earlier change."""
    facts = {
        "name": (followed.name, stated.name),
        "birth date": (followed.birth_date, stated.birth_date),
        "sex": (followed.sex, stated.sex),
    }
    return tuple(fact for fact, (before, after) in facts.items() if after and before != after)


def merge_patient(session: Session, merge: PatientMerge, policy: ChangePolicy, control_id: str, now: datetime) -> str:
    """Record a merge for studies to come, and let the results of the studies on record follow or wait.

    Returns:
        The number of studies that are concerned, in words without patient data.
    """
    named = _with_named(merge, policy)
    if named.prior in named.surviving.identifiers:  # an ID that stays, which the message names once more
        return f"{counted(0, 'study')} concerned"
    patient_changes.add_merge(session, named, now)
    imaging_orders.rename_patient(session, named.prior, named.surviving.identifiers[0], policy.authority)
    concerned = 0
    for study in _locked(session, [named.prior.value]):
        concerned += _apply_merge(session, study, named, policy, control_id, now)
    return f"{counted(concerned, 'study')} concerned"


def check_arrived(session: Session, policy: ChangePolicy, now: datetime) -> None:
    """Let complete studies follow, or wait, whose patient was merged or corrected before they are judged."""
    for uid in patient_changes.arrived(session):
        study = studies.get(session, uid, for_update=True)
        if study is None or study.state is not StudyState.COMPLETE or study.standing is not Standing.FREE:
            continue
        change = patient_changes.of_study(session, uid)
        if change is None:
            for merge in patient_changes.merges_of(session, study.attributes.patient_id):
                _apply_merge(session, study, merge, policy, "", now)
        elif not change.follows and change.settled_at is None:
            _hold(session, study, change, [], "", now)


def _with_named(merge: PatientMerge, policy: ChangePolicy) -> PatientMerge:
    """Return a merge with the survivor of the prior's own authority first; not sure unless there is exactly one."""
    prior, patient = policy.named(merge.prior), merge.surviving
    named = [policy.named(one) for one in (patient.identifier_of(policy.authority), *patient.identifiers)]
    numbers = tuple(dict.fromkeys(named))
    same = [one for one in numbers if replace(one, value=prior.value).is_same_as(prior)]
    surviving = replace(patient, identifiers=tuple(dict.fromkeys((*same, *numbers))))
    return PatientMerge(prior, surviving, len(same) == 1)


def _compared(study: Study, stated: StatedPatient, identifier: PatientIdentifier, policy: ChangePolicy) -> Comparison:
    images = [one.identity for one in study.instances if one.identity is not None]
    return compare_with_images(stated, identifier, images, study.study_instance_uid, policy.authority)


def _correction(
    study: Study, stated: StatedPatient, found: Comparison, policy: ChangePolicy, now: datetime
) -> PatientChange:
    facts = " and ".join(found.differs)
    attributes = study.attributes
    patient = CorrectedPatient(
        attributes.patient_id, attributes.issuer_of_patient_id, stated.name, stated.birth_date, stated.sex
    )
    follows = policy.follow_corrections and not found.is_doubtful
    reason = f"the patient was corrected after the images were made: {facts} differ" + (
        "s" if len(found.differs) == 1 else ""
    )
    return PatientChange(study.study_instance_uid, ChangeKind.CORRECTED, follows, reason, patient, now)


def _apply_merge(
    session: Session, study: Study, merge: PatientMerge, policy: ChangePolicy, control_id: str, now: datetime
) -> bool:
    found = _compared(study, merge.surviving, merge.prior, policy)
    if study.attributes.patient_id == merge.prior.value and not found.is_same_number:
        return False
    survives = merge.surviving.identifiers[0]
    stated = merge.surviving
    patient = CorrectedPatient(survives.value, survives.authority, stated.name, stated.birth_date, stated.sex)
    differs = f"; {' and '.join(found.differs)} also changed" if found.differs else ""
    reason = f"the Patient ID of the images was merged into another one{differs}"
    is_sure = merge.is_sure and not found.is_doubtful and not {"birth date", "sex"} & set(found.differs)
    follows = policy.follow_merges and is_sure
    change = PatientChange(study.study_instance_uid, ChangeKind.MERGED, follows, reason, patient, now)
    return _apply(session, study, change, control_id, now)


def _apply(session: Session, study: Study, change: PatientChange, control_id: str, now: datetime) -> bool:
    """Let the results of a study follow a change, or wait; return False if the change was known before."""
    known = patient_changes.of_study(session, study.study_instance_uid)
    if known is not None and known.patient == change.patient:
        return False
    queued = deliveries.of_study(session, study.study_instance_uid)
    sent = sorted({one.destination for one in queued if one.state in _SENT or _may_be_on_its_way(one, now)})
    is_free = study.standing is Standing.FREE or holder(session, study.study_instance_uid) is Holder.RULE
    if change.follows and not sent and known is None and is_free:
        _follow(session, study, change, control_id, now)
    else:
        held = replace(change, follows=False)
        patient_changes.set_change(session, held)
        _hold(session, study, held, queued, control_id, now, sent)
    return True


def _may_be_on_its_way(one: Delivery, now: datetime) -> bool:
    reserved = now < one.next_attempt_at <= now + _ON_ITS_WAY
    return one.state is DeliveryState.PENDING and one.attempt > 0 and reserved


def _follow(session: Session, study: Study, change: PatientChange, control_id: str, now: datetime) -> None:
    """Have results made for the corrected patient; those that were made before are not sent."""
    uid = study.study_instance_uid
    patient_changes.set_change(session, change)
    for job in jobs.supersede(session, uid, now):
        record_event(log, session, EventKind.JOB_SUPERSEDED, now, study_instance_uid=uid, job_id=job.job_id)
    withheld = deliveries.stop_unsent(session, uid, DeliveryState.WITHHELD, NOT_SENT)
    if study.standing is Standing.HELD:  # by a rule, which decides again about the new results
        study = set_standing(session, study, Standing.FREE, "")
    if study.state not in (StudyState.RECEIVING, StudyState.COMPLETE):
        studies.reopen(session, uid, now)
    reason = f"{change.reason}; results are made for the corrected patient"
    facts = EventDetail(reason=reason, control_id=control_id, withheld=withheld)
    record_event(log, session, EventKind.PATIENT_CHANGED, now, study_instance_uid=uid, **facts)


def _hold(
    session: Session,
    study: Study,
    change: PatientChange,
    queued: Sequence[Delivery],
    control_id: str,
    now: datetime,
    sent: Sequence[str] = (),
) -> None:
    """Hold a study if results of it can still be sent, or were sent: then a person corrects them where they are."""
    uid = study.study_instance_uid
    waits = study.state in _IN_PROGRESS or any(one.state in _UNSENT for one in queued)
    already = f"; {', '.join(sent)} already had results for the patient as the images name her" if sent else ""
    if (waits or sent) and study.standing is not Standing.SET_ASIDE:
        was = str(study.standing)
        held_for = change.reason + (f"{already}: correct them there, then release the study" if sent else "")
        study = hold_for_patient(session, study, held_for)
        facts = EventDetail(reason=held_for, was=was)
        record_event(log, session, EventKind.STUDY_HELD, now, study_instance_uid=uid, **facts)
    outcome = "the results that were not sent are held" if waits else "nothing waits to be sent"
    reason = f"{change.reason}; {outcome}{already}"
    facts = EventDetail(reason=reason, control_id=control_id, sent_to=sent)
    record_event(log, session, EventKind.PATIENT_CHANGED, now, study_instance_uid=uid, **facts)
    action = (
        f"Compare the study with the RIS. Correct the images and the results in the archive if they name another "
        f"patient. Then release the study with `glam-node study release {uid}`, or set it aside."
    )
    alerts.notify(session, Alert("patient", uid, f"Study {uid}: {reason}.", action), now)
