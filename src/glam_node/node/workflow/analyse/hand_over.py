"""The deliveries of a job's results, and the facts that the record of a successful job states."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import uuid4

from glam_node.inference.findings import Findings
from glam_node.node.domain.delivery import Delivery, DeliveryState
from glam_node.node.domain.event import EventDetail
from glam_node.node.domain.job import InferenceJob
from glam_node.node.results.scores import mean_scores, reference_scores, study_scores
from glam_node.node.workflow.analyse.context import Audience, InferenceContext
from glam_node.node.workflow.analyse.result_writer import Result


def success_detail(
    job: InferenceJob, findings: Findings, queued: Sequence[Delivery], context: InferenceContext
) -> EventDetail:
    """Return the detail of JOB_SUCCEEDED, with the results that are withheld or that a dry run would make, if any."""
    detail: EventDetail = {
        "job_id": job.job_id,
        "algorithm_version": findings.algorithm.algorithm_version,
        "images": len(findings.images),
        "not_analysed": sum(image.failure is not None for image in findings.images),
        "mean_scores": mean_scores(findings.images),
        "study_scores": study_scores(findings.images),
        "reference_scores": reference_scores(findings.algorithm),
        "queued": len(queued),
    }
    if withheld := sum(one.state is DeliveryState.WITHHELD for one in queued):
        detail["withheld"] = withheld
    if would_send := {} if job.is_notice else context.would_send(job.routing):
        detail["would_send"] = would_send
    return detail


def new_deliveries(
    job: InferenceJob, results: Sequence[Result], audience: Audience, context: InferenceContext, now: datetime
) -> Iterator[Delivery]:
    """Yield the deliveries of a job's results to the destinations of an audience."""
    for destination, wanted in audience.destinations.items():
        goes = DeliveryState.WITHHELD if context.is_withheld(job.routing, destination) else DeliveryState.PENDING
        instead = audience.fallbacks.get(destination, {}).values()
        for result in results:
            if result.kind in wanted or result.kind in instead:
                yield Delivery(
                    delivery_id=str(uuid4()),
                    job_id=job.job_id,
                    study_instance_uid=job.study_instance_uid,
                    destination=destination,
                    sop_class_uid=result.sop_class_uid,
                    sop_instance_uid=result.sop_instance_uid,
                    transfer_syntax_uid=result.transfer_syntax_uid,
                    path=result.path,
                    state=goes if result.kind in wanted else DeliveryState.STANDBY,
                    attempt=0,
                    next_attempt_at=now,
                    transaction_uid="",
                    failure="",
                    created_at=now,
                    stored_at=None,
                    priority=job.priority if job.routing.priority is None else job.routing.priority,
                )
