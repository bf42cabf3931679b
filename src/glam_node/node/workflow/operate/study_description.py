"""Descriptions of studies as plain data for commands and pages: never patient names, IDs or birth dates."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from glam_node.inference.findings import Findings
from glam_node.node.db import audit, conflicts, deliveries, jobs, priors
from glam_node.node.db.engine import SessionFactory
from glam_node.node.domain.conflict import CONTENT, GRAVE, Conflict, describe_differences
from glam_node.node.domain.delivery import Delivery
from glam_node.node.domain.eligibility import (
    RULES_WITHOUT_NOTICE,
    EligibilityPolicy,
    LeftOut,
    image_left_out,
    is_mammogram,
    judge,
    standard_view,
    views_named,
)
from glam_node.node.domain.event import Event, EventDetail, EventKind
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.domain.job import InferenceJob, JobState
from glam_node.node.domain.study import Study, StudyState
from glam_node.node.domain.words import counted
from glam_node.node.storage.findings import latest_findings
from glam_node.node.workflow.operate.prior_description import describe_priors
from glam_node.result_kinds import MESSAGE_CLASS, RESULT_KINDS, SHOWN_MESSAGE

_SHOWN = {MESSAGE_CLASS: SHOWN_MESSAGE, **{kind.sop_class_uid: kind.shown for kind in RESULT_KINDS}}

TO_CORRECT = (
    "Compare the headers of the images in the archive, correct the wrong ones there, and send all images of the study "
    "again. If their SOP Instance UIDs are the same, take the newer images then. A study that no one needs can be set "
    "aside."
)
"""Remedy for a study that is left out because its images are of two patients or studies."""


def summary(study: Study, policy: EligibilityPolicy, analysed: Event | None) -> dict[str, Any]:
    """Return the facts about a study that a list shows.

    Args:
        study: The study.
        policy: The settings that decide which of its images count as views.
        analysed: The event of its latest analysis; None if there is none.
    """
    images = [instance for instance in study.instances if image_left_out(instance, policy) is None]
    return {
        "study_instance_uid": study.study_instance_uid,
        "state": str(study.state),
        "rule": study.rule,
        "reason": study.reason,
        "standing": str(study.standing),
        "standing_reason": study.standing_reason,
        "views": _views(study, images, policy),
        "incomplete": incomplete(analysed),
        "instance_count": len(study.instances),
        "first_received_at": study.first_received_at,
        "last_received_at": study.last_received_at,
    }


def incomplete(analysed: Event | None) -> str:
    """Return how many views an analysis could not analyse, such as "1 of 4 views not analysed"; empty if none."""
    detail: EventDetail = {} if analysed is None else analysed.detail
    missing = detail.get("not_analysed", 0)
    return f"{missing} of {counted(detail['images'], 'view')} not analysed" if missing else ""


def _views(study: Study, images: Sequence[SOPInstance], policy: EligibilityPolicy) -> str:
    """Return the views of `images`; without any, those of all mammograms and the settings that leave them out."""
    if not study.instances:
        return "images removed"
    left_out = [(one, image_left_out(one, policy)) for one in study.instances if is_mammogram(one)]
    because = dict.fromkeys(why.rule for _, why in left_out if why is not None)
    if images or not because:
        return views_named(map(standard_view, images))
    return f"{views_named(standard_view(one) for one, _ in left_out)}: left out ({', '.join(because)})"


def describe(study: Study, policy: EligibilityPolicy, sessions: SessionFactory, root: Path) -> dict[str, Any]:
    """Return everything that is known about a study, including the reason for each image that `policy` leaves out."""
    left_out = judge(study, policy).left_out
    uid = study.study_instance_uid
    with sessions() as session:
        its_jobs = jobs.of_study(session, uid)
        its_deliveries = deliveries.of_study(session, uid)
        timeline = audit.timeline(session, uid)
        newer = conflicts.open_of_study(session, uid)
        findings = latest_findings(root, its_jobs)
        fetched_by = priors.searches_that_fetched(session, [uid]).get(uid)
        prior_exams = describe_priors(session, uid, its_jobs, findings)
    analyses = [event for event in timeline if event.kind is EventKind.JOB_SUCCEEDED]
    superseded = {job.job_id for job in its_jobs if job.state is JobState.SUPERSEDED}
    described = [_delivery(delivery, superseded) for delivery in its_deliveries]
    return {
        **summary(study, policy, analyses[-1] if analyses else None),
        "instances": [
            _instance(one, left_out.get(one.sop_instance_uid) or image_left_out(one, policy)) for one in study.instances
        ],
        "newer": _open_conflicts(newer),
        "remedy": TO_CORRECT if _names_two_patients(study) else "",
        "jobs": [_job(job) for job in its_jobs],
        "algorithm": algorithm_label(findings) if findings else "",
        "scores": scores(findings) if findings else [],
        "priors": prior_exams,
        "fetched_for": fetched_by.study_instance_uid if fetched_by else "",
        "deliveries": sorted(described, key=lambda one: (one["superseded"], one["destination"])),
        "timeline": [{"at": event.at, "event": event.kind, "detail": event.detail} for event in timeline],
    }


def algorithm_label(findings: Findings) -> str:
    """Return the name and version of the algorithm, with a warning when it is untrained."""
    algorithm = findings.algorithm
    untrained = "" if algorithm.trained else ", UNTRAINED: scores and findings are meaningless"
    return f"{algorithm.algorithm_name} {algorithm.algorithm_version}{untrained}, for research use"


def scores(findings: Findings) -> list[dict[str, Any]]:
    """Return scores, number of findings and failure, one row per image."""
    return [
        {
            "view": f"{image.image_laterality} {image.view_position}",
            "sop_instance_uid": image.sop_instance_uid,
            "malignant_score": image.malignant_score,
            "benign_score": image.benign_score,
            "findings": len(image.findings),
            "failure": image.failure or "",
            "remarks": list(image.remarks),
        }
        for image in findings.images
    ]


def _names_two_patients(study: Study) -> bool:
    """Return whether the study is left out because its images are of two patients or studies."""
    return study.state is StudyState.INELIGIBLE and study.rule in RULES_WITHOUT_NOTICE


def _instance(instance: SOPInstance, left_out: LeftOut | None) -> dict[str, Any]:
    return {
        "view": " ".join(standard_view(instance)).strip(),
        "sop_instance_uid": instance.sop_instance_uid,
        "sop_class_uid": instance.sop_class_uid,
        "transfer_syntax_uid": instance.transfer_syntax_uid,
        "rows": instance.attributes.rows,
        "columns": instance.attributes.columns,
        "byte_count": instance.byte_count,
        "calling_ae_title": instance.calling_ae_title,
        "received_at": instance.received_at,
        "excluded": left_out.rule if left_out else "",
        "excluded_because": left_out.reason if left_out else "",
    }


def _open_conflicts(conflicts_of_study: list[Conflict]) -> dict[str, Any] | None:
    """Return the images that were sent again with other bytes and wait for a decision; None when there are none."""
    if not conflicts_of_study:
        return None
    stated = {name for one in conflicts_of_study for name in one.differs}
    differs = [name for name in GRAVE if name in stated] or [CONTENT]
    return {
        "differs": differs,
        "reason": describe_differences(differs),
        "images": [
            {
                "sop_instance_uid": one.newer.sop_instance_uid,
                "differs": list(one.differs),
                "calling_ae_title": one.newer.calling_ae_title,
                "received_at": one.received_at,
                "path": one.newer.path,
            }
            for one in conflicts_of_study
        ],
    }


def _job(job: InferenceJob) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "state": str(job.state),
        "attempt": job.attempt,
        "algorithm_version": job.algorithm_version,
        "settings_digest": job.settings_digest,
        "failure": job.failure,
        "failure_kind": str(job.failure_kind),
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "stage_seconds": dict(job.stage_seconds),
    }


def _delivery(delivery: Delivery, superseded: Collection[str]) -> dict[str, Any]:
    return {
        "destination": delivery.destination,
        "kind": _SHOWN.get(delivery.sop_class_uid, delivery.sop_class_uid),
        "sop_class_uid": delivery.sop_class_uid,
        "sop_instance_uid": delivery.sop_instance_uid,
        "state": str(delivery.state),
        "superseded": delivery.job_id in superseded,
        "attempt": delivery.attempt,
        "next_attempt_at": delivery.next_attempt_at,
        "stored_at": delivery.stored_at,
        "asked_to_commit": bool(delivery.transaction_uid),
        "failure": delivery.failure,
        "warning": delivery.warning,
    }
