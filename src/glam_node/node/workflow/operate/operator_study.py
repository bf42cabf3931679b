"""The study that a person acts on: loaded, locked, and compared with the state that the person saw."""

from typing import Unpack

from sqlalchemy.orm import Session
from structlog.typing import FilteringBoundLogger

from glam_node.node.db import conflicts, deliveries, jobs, studies
from glam_node.node.db.changes import mark_changed
from glam_node.node.domain.account import Order
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.domain.study import Standing, Study
from glam_node.node.domain.words import counted
from glam_node.node.errors import PermanentError
from glam_node.node.workflow.record.events import record_event

LONGEST_REASON = 200


def locked_study(session: Session, order: Order) -> Study:
    """Return the study of an order, locked until the transaction ends.

    Raises:
        PermanentError: The study is not known, or has changed since the person saw it.
    """
    uid = order.study_instance_uid
    study = studies.get(session, uid, for_update=True)
    if study is None:
        raise PermanentError(f"Study {uid} is not known here. `glam-node study list` lists the known studies.")
    if order.seen is not None and order.seen.version != study.version:
        raise PermanentError(
            f"Study {uid} has changed since the page was made: it was {order.seen.words}, it is "
            f"{shown_state(session, study)}. Nothing was done. Look at its present state, and decide again."
        )
    return study


def shown_state(session: Session, study: Study) -> str:
    """Return as text the facts for a person's decision: state, standing, newest job, given-up results, newer images.

    Each change of these facts increments the study's version.
    """
    newest = jobs.newest(session, study.study_instance_uid)
    given_up = sum(
        one.state is DeliveryState.ABANDONED for one in deliveries.of_study(session, study.study_instance_uid)
    )
    newer = len(conflicts.open_of_study(session, study.study_instance_uid))
    words = [
        str(study.state),
        *([str(study.standing)] if study.standing is not Standing.FREE else []),
        *([f"job {newest.job_id[:8]} {newest.state}"] if newest is not None else []),
        *([f"{counted(given_up, 'result')} given up"] if given_up else []),
        *([f"{counted(newer, 'image')} sent again"] if newer else []),
    ]
    return ", ".join(words)


def require_free(study: Study) -> Study:
    """Return the study if it is neither held nor set aside.

    Raises:
        PermanentError: The study is held or set aside.
    """
    if study.standing is Standing.FREE:
        return study
    raise PermanentError(
        f"Study {study.study_instance_uid} {standing_phrase(study)}. Release it first: `glam-node study release "
        f"{study.study_instance_uid}`."
    )


def standing_phrase(study: Study) -> str:
    """Return the standing of a study and its reason as a phrase."""
    words = {Standing.FREE: "is free", Standing.HELD: "is held", Standing.SET_ASIDE: "is set aside"}[study.standing]
    return words + (f" ({study.standing_reason})" if study.standing_reason else "")


def record_order(
    log: FilteringBoundLogger, session: Session, kind: EventKind, order: Order, /, **detail: Unpack[EventDetail]
) -> None:
    """Record and log an order with its study, the person, the address and the reason; the study gets a new version."""
    facts: EventDetail = {**detail, "account": order.actor.account, "address": order.actor.address}
    if order.reason:
        facts["reason"] = order.reason
    record_event(log, session, kind, order.at, study_instance_uid=order.study_instance_uid, **facts)
    mark_changed(session, [order.study_instance_uid])


def checked_reason(order: Order) -> str:
    """Return the reason of an order.

    Raises:
        PermanentError: The reason is too long, or is not printable text on one line.
    """
    if len(order.reason) > LONGEST_REASON or not order.reason.isprintable():
        raise PermanentError(f"A reason has up to {LONGEST_REASON} printable characters on one line. Shorten it.")
    return order.reason
