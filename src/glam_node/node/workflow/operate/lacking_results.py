"""Results that a destination lacks because it, or a kind of result, was configured after the study was analysed."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from sqlalchemy.orm import Session

from glam_node.node.db import job_restarts, jobs
from glam_node.node.domain.account import Order
from glam_node.node.domain.delivery import Delivery
from glam_node.node.domain.job import InferenceJob, JobState
from glam_node.node.workflow.analyse.context import InferenceContext
from glam_node.result_kinds import NOT_ANALYSED_REPORT


def write_for_destinations(
    session: Session, order: Order, named: str, queued: Collection[Delivery], context: InferenceContext
) -> tuple[list[str], str]:
    """Make a worker write the results that destinations lack, from the stored findings.

    Args:
        session: A session in the transaction of the change.
        order: The study, the person and the time.
        named: The destination that the person chose; it gets results even if a rule of the site sends the results of
            the study to other destinations, and no other destination without results of the study gets any. Empty for
            every destination.
        queued: The deliveries of the study.
        context: The destinations that are configured, and the kinds of results that each asks for.

    Returns:
        The destinations that will get results, and the reason if destinations lack some that cannot be written now.
    """
    job = current_job(session, order.study_instance_uid)
    if job is None:
        return [], ""
    meant = _including(job, named)
    lacking = _lacking(meant, queued, context)
    if not lacking or (named and named not in lacking):
        return [], ""
    if job.state is not JobState.SUCCEEDED or job.settings_digest != context.identity.settings_digest:
        return [], _not_now(job, named)
    strangers = set(lacking) - {named} - {one.destination for one in queued} if named else set()
    lacking = [name for name in lacking if name not in strangers]
    destinations = _without(strangers, meant.routing.destinations, context)
    restarted = job_restarts.write_again(session, job.job_id, destinations, order.at)
    return (lacking, "") if restarted else ([], "")


def current_job(session: Session, study_instance_uid: str) -> InferenceJob | None:
    """Return the newest job of the study that was not superseded, a notice included; None if there is none."""
    of_study = jobs.of_study(session, study_instance_uid)
    return next((one for one in of_study if one.state is not JobState.SUPERSEDED), None)


def _including(job: InferenceJob, destination: str) -> InferenceJob:
    """Return the job with the destination, if one is named, added to the destinations of its results."""
    if not destination or job.routing.destinations is None or destination in job.routing.destinations:
        return job
    return replace(job, routing=replace(job.routing, destinations=(*job.routing.destinations, destination)))


def _without(
    strangers: Collection[str], destinations: Sequence[str] | None, context: InferenceContext
) -> Sequence[str] | None:
    """Return a job's destinations without those that got no result of its study and that the person did not choose."""
    if not strangers:
        return destinations
    return [name for name in destinations or context.destinations if name not in strangers]


def _lacking(job: InferenceJob, queued: Collection[Delivery], context: InferenceContext) -> list[str]:
    """Return the destinations that ask for a kind of result that the job has not tried to write for them.

    A destination whose results were made with another presentation gets no more of them. Of a job that an older version
    ran, the kinds are not known: a destination lacks results if the job queued none for it.
    """
    written = job.written_for
    has_some = {one.destination for one in queued if one.job_id == job.job_id}
    lacking = []
    for audience in context.audiences_of(job.routing):
        for name, kinds in audience.destinations.items():
            wanted = {kind for kind in kinds if (kind == NOT_ANALYSED_REPORT) is job.is_notice}
            if written is None:
                lacks = bool(wanted) and name not in has_some
            else:
                same = name not in written or written[name].settings_digest == context.digest_for(audience, job)
                lacks = same and not wanted.issubset(written[name].kinds if name in written else ())
            lacking += [name] if lacks else []
    return lacking


def obstacle(named: str, job: InferenceJob | None, context: InferenceContext) -> str:
    """Return why a destination gets no more results of a job, and what to do; empty if it has all that it asks for."""
    if job is None:
        return "The study has no results yet. They are written when it is read."
    presented = {name: context.digest_for(one, job) for one in context.audiences for name in one.destinations}
    written = (job.written_for or {}).get(named)
    if written and written.settings_digest != presented.get(named, written.settings_digest):
        return (
            f"The results for {named} were made with another destinations.{named}.presentation, so that no kind can be "
            "added to them. Set it to its former value, run `glam-node settings reload`, then resend."
        )
    return f"The results are not complete. {job.failure}" if job.failure else ""


def _not_now(job: InferenceJob, named: str) -> str:
    uid, whose = job.study_instance_uid, f"for {named}" if named else "that a destination lacks"
    if job.state is JobState.SUCCEEDED:
        return (
            f"Study {uid} was read with other settings, or by another version of glam-node, so that the results "
            f"{whose} cannot be written alone. `glam-node study retry {uid}` reads it again and sends the new results "
            "to every destination."
        )
    if job.state is JobState.FAILED:
        return f"The analysis of study {uid} failed. Run `glam-node study retry {uid}`, and resend when it has ended."
    return f"Study {uid} is being read. Resend when that has ended, if results {whose} are still missing."
