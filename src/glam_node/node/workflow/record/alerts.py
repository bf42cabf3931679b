"""Alerts: messages by webhook and mail, sent once when a problem begins and once when it is over."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from glam_node.node.db import alerts, backlog, canary, conflicts, deliveries, jobs, studies
from glam_node.node.db.engine import SessionFactory, reading
from glam_node.node.domain.alert import LEFT_OUT_WITHIN, REMEDIES, Alert, AlertFacts, AlertMessage, AlertPolicy, Phase
from glam_node.node.domain.alert import alerts as current_alerts
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.event import EventKind
from glam_node.node.domain.job import JobState, RetryPolicy
from glam_node.node.workflow.record.events import record_event
from glam_node.node.workflow.record.failure import describe
from glam_node.node.workflow.record.recent_scores import recent_scores

log = structlog.get_logger(__name__)

SEND_AGAIN = RetryPolicy(15.0, 2.0, 900.0, 1_000_000)
KEPT = timedelta(days=30)
"""Time after which a message that was sent is deleted."""

Channel = Callable[[AlertMessage], None]
"""Function that sends one message through a channel; raises NodeError if the channel does not accept it."""


def update_alerts(
    sessions: SessionFactory,
    policy: AlertPolicy,
    live: Collection[str],
    space: tuple[int | None, int],
    channels: Collection[str],
    now: datetime,
) -> list[Alert]:
    """Store the current alerts, and queue one message per channel for each alert that began or is over.

    A channel that is new gets a message about each current alert.

    Args:
        sessions: Database sessions.
        policy: Thresholds, and the alerts that the site wants.
        live: Names of the destinations that results are sent to.
        space: Free bytes of the storage root (None while it is away), and bytes below which C-STORE is refused.
        channels: Names of the channels.
        now: Current time.

    Returns:
        All current alerts, old and new.
    """
    with reading(sessions)() as session:
        found = current_alerts(_facts(session, live, space, now), policy)
    with sessions.begin() as session:
        known = {(one.name, one.subject): one for one in alerts.present(session)}
        found += _undecided(known.values(), space[0], policy)
        present = {(one.name, one.subject): one for one in found}
        for key in present.keys() - known.keys():
            alerts.begin(session, present[key], channels, now)
            _record_alert_event(session, EventKind.ALERT_BEGINS, present[key], now)
        for key in present.keys() & known.keys():
            alerts.announce(session, present[key], channels, now)
        for key in known.keys() - present.keys():
            alerts.end(session, known[key], channels, now)
            _record_alert_event(session, EventKind.ALERT_OVER, known[key], now)
        alerts.spread_notices(session, channels)
        alerts.delete_messages(session, channels, now - KEPT)
    return found


def _undecided(known: Iterable[Alert], free_bytes: int | None, policy: AlertPolicy) -> list[Alert]:
    """Return the alert that space is low, if it has begun and the free space is now unknown: it may not be over."""
    is_unknown = free_bytes is None and "disk_low" in policy.which
    return [one for one in known if is_unknown and (one.name, one.subject) == ("disk_low", "")]


def _record_alert_event(session: Session, kind: EventKind, alert: Alert, now: datetime) -> None:
    record_event(log, session, kind, now, alert=alert.name, subject=alert.subject, fact=alert.fact)


def send_alerts(sessions: SessionFactory, channels: Mapping[str, Channel], now: Callable[[], datetime]) -> int:
    """Send the oldest due message of each channel, and return how many were sent.

    If a channel does not accept a message, the later messages of this channel wait until it does.
    """
    return sum(_send_one(sessions, name, channel, now()) for name, channel in channels.items())


def _send_one(sessions: SessionFactory, name: str, channel: Channel, now: datetime) -> bool:
    with reading(sessions)() as session:
        message = alerts.next_message(session, name, now)
    if message is None:
        return False
    is_accepted = _is_accepted(channel, message)
    with sessions.begin() as session:
        if is_accepted:
            alerts.mark_sent(session, message, now)
        else:
            again = SEND_AGAIN.next_attempt_at(message.attempt + 1, now) or now + KEPT
            alerts.postpone(session, message, again)
    return is_accepted


class StorageLoss:
    """The alert that the storage root is away, sent without the database, which is lost together with the root."""

    def __init__(self) -> None:
        self._told: dict[str, AlertMessage] = {}
        """The message that each channel accepted."""

    def report(self, policy: AlertPolicy, channels: Mapping[str, Channel], now: datetime) -> None:
        """Send the alert, if the site wants it, to every channel that has not accepted it yet."""
        for alert in current_alerts(AlertFacts(free_bytes=None), policy):
            for name in channels.keys() - self._told.keys():
                number = int(now.timestamp())  # not a number of the database
                message = AlertMessage(
                    number, alert.name, alert.subject, Phase.BEGINS, name, alert.fact, alert.action, now
                )
                if _is_accepted(channels[name], message):
                    self._told[name] = message

    def report_over(self, channels: Mapping[str, Channel], now: datetime) -> None:
        """Send to every channel that accepted the alert that it is over."""
        for name, message in list(self._told.items()):
            over = replace(message, phase=Phase.OVER, at=now)
            if name not in channels or _is_accepted(channels[name], over):
                del self._told[name]


def _is_accepted(channel: Channel, message: AlertMessage) -> bool:
    try:
        channel(message)
    except Exception as error:  # a programming error in one channel must not keep the others from their messages
        log.warning("alert_not_sent", channel=message.channel, alert=message.name, failure=describe(error))
        return False
    return True


def _facts(session: Session, live: Collection[str], space: tuple[int | None, int], now: datetime) -> AlertFacts:
    def age(since: datetime | None) -> float | None:
        return None if since is None else max(0.0, (now - since).total_seconds())

    of_jobs, waiting = jobs.counts_by_state(session), backlog.pending_deliveries(session)
    scores, judged = recent_scores(session), canary.last_judged(session)
    states = deliveries.counts(session).items()
    return AlertFacts(
        oldest_deliveries_s={name: age(one.oldest) or 0.0 for name, one in waiting.items() if name in live},
        oldest_job_s=age(backlog.oldest_unfinished_job(session)),
        due_job_s=age(backlog.longest_due_job(session)),
        running_jobs=of_jobs.get(JobState.RUNNING, 0),
        failed_jobs=of_jobs.get(JobState.FAILED, 0),
        abandoned_deliveries=sum(count for (_, state), count in states if state is DeliveryState.ABANDONED),
        studies_in_doubt=conflicts.count_in_doubt(session),
        last_image_s=age(studies.last_received_at(session)),
        free_bytes=space[0],
        minimum_free_bytes=space[1],
        left_out=backlog.left_out(session, REMEDIES, now - LEFT_OUT_WITHIN),
        mean_scores=scores.means,
        reference_scores=scores.reference,
        canary_failure=judged.failure if judged is not None else "",
    )
