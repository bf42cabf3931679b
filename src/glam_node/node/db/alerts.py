"""Current alerts, and the alert messages that are waiting for their channel (mail or webhook)."""

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import Update, delete, exists, select, update
from sqlalchemy.orm import Session

from glam_node.node.db.tables import AlertMessageRow, AlertRow
from glam_node.node.domain.alert import Alert, AlertMessage, Phase

# Workers do not know the channels, which only the dispatcher uses.
_EVERY_CHANNEL = "*"


def present(session: Session) -> list[Alert]:
    """Return the current alerts, as the last check found them."""
    rows = session.scalars(select(AlertRow).order_by(AlertRow.name, AlertRow.subject))
    return [Alert(row.name, row.subject, row.fact, row.action) for row in rows]


def begin(session: Session, alert: Alert, channels: Iterable[str], now: datetime) -> None:
    """Record that the alert has begun, and queue a message for every channel."""
    session.add(AlertRow(name=alert.name, subject=alert.subject, fact=alert.fact, action=alert.action, began_at=now))
    _queue_messages(session, alert, Phase.BEGINS, channels, now)


def announce(session: Session, alert: Alert, channels: Iterable[str], now: datetime) -> None:
    """Queue a message that the current alert has begun for every channel that was not there when it began."""
    of_alert = (AlertMessageRow.name == alert.name, AlertMessageRow.subject == alert.subject)
    began = select(AlertRow.began_at).where(AlertRow.name == alert.name, AlertRow.subject == alert.subject)
    told = session.scalars(
        select(AlertMessageRow.channel).where(
            *of_alert, AlertMessageRow.phase == Phase.BEGINS, AlertMessageRow.at >= began.scalar_subquery()
        )
    ).all()
    _queue_messages(session, alert, Phase.BEGINS, [one for one in channels if one not in told], now)


def end(session: Session, alert: Alert, channels: Iterable[str], now: datetime) -> None:
    """Remove an alert that is over, and queue a message about its end for every channel."""
    session.execute(delete(AlertRow).where(AlertRow.name == alert.name, AlertRow.subject == alert.subject))
    _queue_messages(session, alert, Phase.OVER, channels, now)


def _queue_messages(session: Session, alert: Alert, phase: Phase, channels: Iterable[str], now: datetime) -> None:
    for channel in channels:
        session.add(
            AlertMessageRow(
                name=alert.name,
                subject=alert.subject,
                phase=phase,
                channel=channel,
                fact=alert.fact,
                action=alert.action,
                at=now,
                attempt=0,
                next_attempt_at=now,
            )
        )


def notify(session: Session, notice: Alert, now: datetime) -> None:
    """Queue a message that is no alert for every channel; `spread_notices` finds the channels."""
    _queue_messages(session, notice, Phase.NOTICE, [_EVERY_CHANNEL], now)


def spread_notices(session: Session, channels: Collection[str]) -> None:
    """Replace each message for every channel by one for each of `channels`."""
    waiting = select(AlertMessageRow).where(AlertMessageRow.channel == _EVERY_CHANNEL)
    for row in session.scalars(waiting.order_by(AlertMessageRow.message_id)).all():
        _queue_messages(session, Alert(row.name, row.subject, row.fact, row.action), Phase.NOTICE, channels, row.at)
        session.delete(row)


def next_message(session: Session, channel: str, now: datetime) -> AlertMessage | None:
    """Return the oldest unsent message of the channel; None if there is none or its next attempt is not due."""
    query = select(AlertMessageRow).where(AlertMessageRow.channel == channel, AlertMessageRow.sent_at.is_(None))
    row = session.scalars(query.order_by(AlertMessageRow.message_id).limit(1)).first()
    if row is None or row.next_attempt_at > now:
        return None
    return AlertMessage(
        row.message_id, row.name, row.subject, Phase(row.phase), row.channel, row.fact, row.action, row.at, row.attempt
    )


def mark_sent(session: Session, message: AlertMessage, now: datetime) -> None:
    """Record that the channel has accepted the message."""
    session.execute(_row_of(message).values(sent_at=now, attempt=message.attempt + 1))


def postpone(session: Session, message: AlertMessage, next_attempt_at: datetime) -> None:
    """Record a failed attempt, and try the message again at `next_attempt_at`."""
    session.execute(_row_of(message).values(next_attempt_at=next_attempt_at, attempt=message.attempt + 1))


def delete_messages(session: Session, channels: Collection[str], before: datetime) -> None:
    """Delete messages that were sent before that time, and messages for channels not listed in `channels`.

    Those about a current alert stay, since `announce` needs them.
    """
    current = exists().where(AlertRow.name == AlertMessageRow.name, AlertRow.subject == AlertMessageRow.subject)
    session.execute(delete(AlertMessageRow).where(AlertMessageRow.sent_at < before, ~current))
    session.execute(delete(AlertMessageRow).where(AlertMessageRow.channel.not_in(channels)))


def _row_of(message: AlertMessage) -> Update:
    return update(AlertMessageRow).where(AlertMessageRow.message_id == message.message_id)
