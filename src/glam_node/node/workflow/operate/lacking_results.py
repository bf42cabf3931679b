"""Results that a destination lacks because it, or a kind of result, was configured after the study was analysed."""

from collections.abc import Collection
from dataclasses import replace

from sqlalchemy.orm import Session

from glam_node.node.db import job_restarts, jobs
from glam_node.node.domain.account import Order
from glam_node.node.domain.delivery import Delivery
from glam_node.node.domain.job import InferenceJob, JobState
from glam_node.node.errors import PermanentError
from glam_node.node.results.kinds import NOT_ANALYSED_REPORT, SOP_CLASSES
from glam_node.node.workflow.analyse.context import InferenceContext


def write_for_destinations(
    session: Session, order: Order, named: str, queued: Collection[Delivery], context: InferenceContext
) -> list[str]:
    """Make a worker write the results that destinations lack, from the stored findings.

    Args:
        session: A session in the transaction of the change.
        order: The study, the person and the time.
        named: The destination that the person chose; it gets results even if a rule of the site sends the results of
            the study to other destinations. Empty for every destination.
        queued: The deliveries of the study.
        context: The destinations that are configured, and the kinds of results that each asks for.

    Returns:
        The destinations that will get results; empty if no destination lacks any.

    Raises:
        PermanentError: Results cannot be written for the named destination. The message says what to do.
    """
    of_study = jobs.of_study(session, order.study_instance_uid)
    job = next((one for one in of_study if one.state is not JobState.SUPERSEDED), None)
    if named:
        job = _including(job, named)
    lacking = [] if job is None else _lacking(job, queued, context)
    if named and named not in lacking and not any(one.destination == named for one in queued):
        raise PermanentError(_nothing_for(order.study_instance_uid, named, job, context))
    if job is None or not lacking or (named and named not in lacking):
        return []
    if job.state is not JobState.SUCCEEDED or job.settings_digest != context.identity.settings_digest:
        if named:
            raise PermanentError(_not_now(job, named))
        return []
    restarted = job_restarts.write_again(session, job.job_id, job.routing.destinations, order.at)
    return lacking if restarted else []


def _including(job: InferenceJob | None, destination: str) -> InferenceJob | None:
    """Return the job with the destination added to the destinations of its results."""
    if job is None or job.routing.destinations is None or destination in job.routing.destinations:
        return job
    return replace(job, routing=replace(job.routing, destinations=(*job.routing.destinations, destination)))


def _lacking(job: InferenceJob, queued: Collection[Delivery], context: InferenceContext) -> list[str]:
    """Return the destinations that ask for a SOP class of which the job queued no object for them."""
    there = {(one.destination, one.sop_class_uid) for one in queued if one.job_id == job.job_id}
    wanted = {
        name: {SOP_CLASSES[kind] for kind in kinds if (kind == NOT_ANALYSED_REPORT) is job.is_notice}
        for audience in context.audiences_of(job.routing)
        for name, kinds in audience.destinations.items()
    }
    return [name for name, classes in wanted.items() if any((name, one) not in there for one in classes)]


def _nothing_for(uid: str, named: str, job: InferenceJob | None, context: InferenceContext) -> str:
    if named in context.dry_run:
        return (
            f"Results are not written for {named}: destinations.{named}.mode is dry_run. Set it to live, run "
            "`glam-node settings reload`, then resend."
        )
    if job is None:
        return f"Study {uid} has no results yet. Results for {named} are written when it is read."
    return (
        f"{named} asks for no result that study {uid} has. `glam-node study show {uid}` lists the results, "
        f"destinations.{named}.results the kinds that {named} gets."
    )


def _not_now(job: InferenceJob, named: str) -> str:
    uid = job.study_instance_uid
    if job.state is JobState.SUCCEEDED:
        return (
            f"Study {uid} was read with other settings, so that its results cannot be written for {named} alone. "
            f"`glam-node study retry {uid}` reads it again and sends the new results to every destination."
        )
    if job.state is JobState.FAILED:
        return f"The analysis of study {uid} failed. `glam-node study retry {uid}` starts it again, for {named} too."
    return f"Study {uid} is being read. Results for {named} are written with the others: you need not do anything."
