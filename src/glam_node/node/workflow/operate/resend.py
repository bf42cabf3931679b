"""Requests of people to send results again."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from glam_node.node.db import deliveries
from glam_node.node.domain.account import Actor, Order
from glam_node.node.domain.delivery import Delivery, DeliveryState
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.domain.study import StudyState
from glam_node.node.domain.words import counted
from glam_node.node.errors import PermanentError
from glam_node.node.workflow.analyse.context import InferenceContext
from glam_node.node.workflow.deliver.send_results import make_results_due
from glam_node.node.workflow.operate.lacking_results import write_for_destinations
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

    def states(self, shadow: Collection[str]) -> frozenset[DeliveryState]:
        """Return the states of the selected deliveries.

        Args:
            shadow: The destinations in shadow mode. If the selection names a destination that is not among them, its
                withheld results are selected, too.
        """
        withheld = {DeliveryState.WITHHELD} if self.destination and self.destination not in shadow else set()
        return GIVEN_UP.union(withheld, THERE if self.stored else ())


def resend(session: Session, order: Order, selection: Selection, context: InferenceContext) -> str:
    """Send results of a study again, and make those that a destination lacks because it was added later.

    A worker writes the results that a destination lacks. It uses the stored findings and the settings of the
    destination; the study is not analysed again.

    Returns:
        A description of what was done, as a clause without a full stop.

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
    lacking = write_for_destinations(session, order, selection.destination, queued, context)
    states = selection.states(context.shadow)
    waited = _nonzero_counts(destinations, lambda name: make_results_due(session, name, order.at, uid))
    counts = _nonzero_counts(destinations, lambda name: deliveries.resend(session, uid, name, states, order.at))
    if not counts and not waited and not lacking:
        raise PermanentError(_nothing_to_send(uid, selection))
    facts = EventDetail(deliveries=counts, stored=selection.stored)
    if waited:
        facts["waiting"] = waited
    if lacking:
        facts["written_for"] = lacking
    record_order(log, session, EventKind.RESEND_REQUESTED, order, **facts)
    again = [f"{counted(count, 'result')} will be sent to {name} again" for name, count in counts.items()]
    at_once = [f"{counted(count, 'waiting result')} will be sent to {name} now" for name, count in waited.items()]
    written = [f"the results that {name} lacks will be written and sent to it" for name in lacking]
    return "; ".join([*again, *at_once, *written])


def _nonzero_counts(names: Collection[str], count: Callable[[str], int]) -> dict[str, int]:
    return {name: found for name in names if (found := count(name))}


def send_now(session: Session, destination: str, actor: Actor, configured: Collection[str], now: datetime) -> str:
    """Make all results that wait for a destination due now, except those given up; return a clause with their number.

    Raises:
        PermanentError: No destination of that name is configured.
    """
    if destination not in configured:
        raise PermanentError(_unknown_destination(destination, configured))
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
    with_results = dict.fromkeys(one.destination for one in queued)
    return [name for name in with_results if name in chosen]


def _nothing_to_send(uid: str, selection: Selection) -> str:
    where = selection.destination or "any destination"
    if selection.stored:
        return f"Study {uid} has no results that were sent to {where} or given up. Nothing was done."
    return f"No result of study {uid} was given up for {where}. Use --stored to send again the results that it has."
