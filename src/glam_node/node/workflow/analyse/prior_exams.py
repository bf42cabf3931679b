"""Comparison of a study's findings with those of its prior exams, made once and kept with the job."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from glam_node.inference.errors import InferenceError
from glam_node.inference.findings import FindingKind, Findings, ImageFindings
from glam_node.inference.findings_file import read_findings
from glam_node.node.db import jobs, priors, studies
from glam_node.node.db.engine import SessionFactory, reading
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.domain.job import InferenceJob
from glam_node.node.domain.prior import PriorStudy
from glam_node.node.domain.prior_comparison import PriorExam, PriorImage
from glam_node.node.domain.study import Study
from glam_node.node.results.identity import view_name
from glam_node.node.results.scores import breast_scores, image_score, study_score
from glam_node.node.storage.findings import findings_path, newest_analysis
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.analyse.prior_places import PlaceComparer
from glam_node.node.workflow.assemble.prior_identity import difference_in_person

log = structlog.get_logger(__name__)

Scores = Mapping[str, float]


def compare_with_priors(
    job: InferenceJob, findings: Findings, *, sessions: SessionFactory, store: InstanceStore
) -> InferenceJob:
    """Return the job with the prior exams of its study, compared with its findings; nothing is compared twice.

    The comparison is kept with the job before results are written, so that each attempt writes the same.
    """
    if job.priors is not None or job.is_notice or job.has_results:
        return job
    with reading(sessions)() as session:
        search = priors.find(session, job.study_instance_uid)
        study = studies.get(session, job.study_instance_uid)
    if search is None or study is None:
        return job
    places = PlaceComparer(findings, _paths(study, store))
    found = [_compared(study, findings, prior, sessions, store, places) for prior in search.ready]
    exams = tuple(one for one in found if one is not None)
    with sessions.begin() as session:
        jobs.keep_priors(session, job, exams)
    return replace(job, priors=exams)


def _compared(
    study: Study,
    findings: Findings,
    prior: PriorStudy,
    sessions: SessionFactory,
    store: InstanceStore,
    places: PlaceComparer,
) -> PriorExam | None:
    """Return a prior exam with its comparison; None if its findings are gone or it may be of another patient."""
    with reading(sessions)() as session:
        earlier = studies.get(session, prior.study_instance_uid)
        analysis = newest_analysis(jobs.of_study(session, prior.study_instance_uid))
    if earlier is None or analysis is None:
        return None
    try:
        theirs = read_findings(findings_path(store.root, analysis.job_id))
    except (FileNotFoundError, InferenceError):
        return None
    reason = difference_in_person(study, earlier, store)
    if reason:
        log.warning("prior_left_out", study_instance_uid=study.study_instance_uid, reason=reason)
        return None
    exam = compared_exam(findings, theirs, prior.study_date, earlier.instances)
    if not exam.same_model:
        return exam
    views, found = places.compare(theirs, _paths(earlier, store))
    return replace(exam, compared_views=views, correspondences=found)


def _paths(study: Study, store: InstanceStore) -> dict[str, Path]:
    return {one.sop_instance_uid: store.resolve(one.path) for one in study.instances}


def compared_exam(findings: Findings, theirs: Findings, study_date: str, instances: Sequence[SOPInstance]) -> PriorExam:
    """Return a prior exam beside the findings of the exam.

    Args:
        findings: The findings of the exam.
        theirs: The findings of the prior exam.
        study_date: The date of the prior exam, YYYYMMDD.
        instances: The instances of the prior exam.
    """
    same = findings.algorithm == theirs.algorithm
    of_study, of_breasts = _scores(findings.images), _breast_scores(findings.images)
    then, then_of_breasts = _scores(theirs.images), _breast_scores(theirs.images)
    known = {one.sop_instance_uid: one for one in instances}
    return PriorExam(
        study_instance_uid=theirs.study_instance_uid,
        study_date=study_date,
        algorithm=f"{theirs.algorithm.algorithm_name} {theirs.algorithm.algorithm_version}",
        same_model=same,
        study_scores=then,
        breast_scores=then_of_breasts,
        changes=_changes(of_study, then) if same else {},
        breast_changes={
            side: _changes(scores, then_of_breasts[side])
            for side, scores in of_breasts.items()
            if same and side in then_of_breasts
        },
        images=tuple(
            _image(image, known[image.sop_instance_uid]) for image in theirs.images if image.sop_instance_uid in known
        ),
    )


def _image(image: ImageFindings, instance: SOPInstance) -> PriorImage:
    scores = {str(kind): score for kind in FindingKind if (score := image_score(image, kind)) is not None}
    counts = {str(kind): sum(one.kind is kind for one in image.findings) for kind in FindingKind}
    uids = instance.sop_class_uid, instance.sop_instance_uid, instance.series_instance_uid
    return PriorImage(*uids, view_name(image), scores, counts)


def _scores(images: Sequence[ImageFindings]) -> dict[str, float]:
    scores = {str(kind): study_score(breast_scores(images, kind)) for kind in FindingKind}
    return {kind: score for kind, score in scores.items() if score is not None}


def _breast_scores(images: Sequence[ImageFindings]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for kind in FindingKind:
        for side, score in breast_scores(images, kind).items():
            found.setdefault(str(side), {})[str(kind)] = score
    return found


def _changes(now: Scores, then: Scores) -> dict[str, float]:
    return {kind: score - then[kind] for kind, score in now.items() if kind in then}
