"""Operators' requests to send results again."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from glam_node.node.db import deliveries
from glam_node.node.domain.account import Actor, Order
from glam_node.node.domain.delivery import Delivery, DeliveryState
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.domain.job import InferenceJob
from glam_node.node.domain.study import StudyState
from glam_node.node.domain.words import counted, unstopped
from glam_node.node.errors import PermanentError
from glam_node.node.workflow.analyse.context import InferenceContext
from glam_node.node.workflow.deliver.send_results import make_results_due
from glam_node.node.workflow.operate.lacking_results import current_job, obstacle, write_for_destinations
from glam_node.node.workflow.operate.operator_study import locked_study, record_order, require_free
from glam_node.node.workflow.record.events import record_event

log = structlog.get_logger(__name__)

GIVEN_UP = frozenset({DeliveryState.ABANDONED})
THERE = frozenset({DeliveryState.STORED, DeliveryState.COMMITTED})


@dataclass(frozen=True, slots=True)
class Selection:
    """Selection of the results to send again."""

    destination: str = ""
    """Name of a destination; empty for all."""
    stored: bool = False
    """Whether to include results that the destination has already."""

    @property
    def states(self) -> frozenset[DeliveryState]:
        """States of the selected deliveries; the withheld ones of a destination are selected if it is named."""
        return GIVEN_UP.union({DeliveryState.WITHHELD} if self.destination else (), THERE if self.stored else ())


def resend(session: Session, order: Order, selection: Selection, context: InferenceContext) -> str:
    """Send results of a study again, and make those that a destination lacks because it was added later.

    A worker writes the results that a destination lacks. It uses the stored findings and the settings of the
    destination; the study is not analysed again. Nothing is sent to a destination whose mode is not live.

    Returns:
        A description of what was done, without a full stop at its end.

    Raises:
        PermanentError: The study is not known, is held, set aside or retired, or has changed since the person saw it;
            or there is nothing to send.
    """
    study = require_free(locked_study(session, order))
    uid = study.study_instance_uid
    if study.state is StudyState.RETIRED:
        raise PermanentError(f"Study {uid} is retired: its results were removed here. Send its images again.")
    queued = deliveries.of_study(session, uid)
    destinations = _selected_destinations(queued, selection, context)
    live = [name for name in destinations if not context.kept_reason(name)]
    job = current_job(session, uid)
    lacking, not_now = write_for_destinations(session, order, selection.destination, queued, context)
    states = selection.states
    waited = _nonzero_counts(live, lambda name: make_results_due(session, name, order.at, uid))
    counts = _nonzero_counts(live, lambda name: deliveries.resend(session, uid, name, states, order.at))
    if not counts and not waited and not lacking:
        raise PermanentError(_nothing_to_send(uid, selection, job, destinations, context, not_now))
    facts = EventDetail(deliveries=counts, stored=selection.stored)
    if waited:
        facts["waiting"] = waited
    if lacking:
        facts["written_for"] = lacking
    record_order(log, session, EventKind.RESEND_REQUESTED, order, **facts)
    again = [f"{counted(count, 'result')} will be sent to {name} again" for name, count in counts.items()]
    at_once = [f"{counted(count, 'waiting result')} will be sent to {name} now" for name, count in waited.items()]
    kept = {name: context.kept_reason(name, job.routing if job else None) for name in lacking}
    written = [
        f"the results that {name} lacks will be written and {f'kept, not sent: {why}' if why else 'sent to it'}"
        for name, why in kept.items()
    ]
    return "; ".join([*again, *at_once, *written]) + (f". {unstopped(not_now)}" if not_now else "")


def _nonzero_counts(names: Collection[str], count: Callable[[str], int]) -> dict[str, int]:
    return {name: found for name in names if (found := count(name))}


def send_now(session: Session, destination: str, actor: Actor, context: InferenceContext, now: datetime) -> str:
    """Make all results that wait for a destination due now, except those given up; return a clause with their number.

    Raises:
        PermanentError: No destination of that name is configured, or its mode is not live.
    """
    if destination not in context.destinations:
        raise PermanentError(_unknown_destination(destination, context.destinations))
    if why := context.kept_reason(destination):
        raise PermanentError(_not_live(destination, why))
    count = make_results_due(session, destination, now)
    facts = EventDetail(account=actor.account, address=actor.address, destination=destination, deliveries=count)
    record_event(log, session, EventKind.SEND_REQUESTED, now, **facts)
    return f"{counted(count, 'waiting result')} will be sent to {destination} now"


def _unknown_destination(destination: str, configured: Collection[str]) -> str:
    names = ", ".join(sorted(configured)) or "none"
    return f"There is no [destinations.{destination}] in the settings. Configured destinations: {names}."


def _selected_destinations(queued: Collection[Delivery], selection: Selection, context: InferenceContext) -> list[str]:
    """Return the chosen destinations for which there are results of the study.

    Raises:
        PermanentError: The chosen destination is not configured.
    """
    configured = context.destinations
    if selection.destination and selection.destination not in configured:
        raise PermanentError(_unknown_destination(selection.destination, configured))
    chosen = [selection.destination] if selection.destination else configured
    return sorted({one.destination for one in queued}.intersection(chosen))


def _not_live(destination: str, why: str) -> str:
    return f"Nothing is sent to {destination}: {why}. Set it to live, run `glam-node settings reload`, then try again."


def _nothing_to_send(
    uid: str,
    selection: Selection,
    job: InferenceJob | None,
    with_results: Collection[str],
    context: InferenceContext,
    not_now: str,
) -> str:
    """Return why nothing is sent, and what to do.

    Args:
        uid: Study Instance UID.
        selection: The results that were chosen.
        job: The job whose results count.
        with_results: The chosen destinations for which there are results of the study.
        context: The destinations that are configured.
        not_now: Why results that a destination lacks cannot be written now; empty if none is lacking.
    """
    named = selection.destination
    if named and (why := context.kept_reason(named)):
        return _not_live(named, why)
    if job is not None and job.routing.shadow and not not_now:
        return f"The results of study {uid} are kept and not sent: {job.routing.rule} is in shadow."
    reason = not_now or (obstacle(named, job, context) if named else "")
    if named and named not in with_results:
        return reason or (
            f"{named} asks for no result that study {uid} has. `glam-node study show {uid}` lists the results, "
            f"destinations.{named}.results the kinds that {named} gets."
        )
    where = named or "any destination"
    nothing = (
        f"Study {uid} has no results that were sent to {where} or given up. Nothing was done."
        if selection.stored
        else f"No result of study {uid} was given up for {where}. Use --stored to send again the results that it has."
    )
    kept = [_not_live(name, why) for name in with_results if (why := context.kept_reason(name))]
    return " ".join([nothing, *([reason] if reason else kept)])
