"""What is wrong at present, and what each channel is still to be told of it."""

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import Update, delete, select, update
from sqlalchemy.orm import Session

from glam_node.node.db.tables import AlertMessageRow, AlertRow
from glam_node.node.domain.alert import Alert, AlertMessage, Phase


def present(session: Session) -> list[Alert]:
    """What was wrong when it was last looked at."""
    rows = session.scalars(select(AlertRow).order_by(AlertRow.name, AlertRow.subject))
    return [Alert(row.name, row.subject, row.fact, row.action) for row in rows]


def begin(session: Session, alert: Alert, channels: Iterable[str], now: datetime) -> None:
    """It is wrong now, and every channel is to be told once."""
    session.add(AlertRow(name=alert.name, subject=alert.subject, fact=alert.fact, action=alert.action, began_at=now))
    _tell(session, alert, Phase.BEGINS, channels, now)


def end(session: Session, alert: Alert, channels: Iterable[str], now: datetime) -> None:
    """It is not any more, and every channel is to be told once."""
    session.execute(delete(AlertRow).where(AlertRow.name == alert.name, AlertRow.subject == alert.subject))
    _tell(session, alert, Phase.OVER, channels, now)


def _tell(session: Session, alert: Alert, phase: Phase, channels: Iterable[str], now: datetime) -> None:
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


def next_message(session: Session, channel: str, now: datetime) -> AlertMessage | None:
    """The first that the channel is still to be told; None when there is none, or it is to be tried later."""
    query = select(AlertMessageRow).where(AlertMessageRow.channel == channel, AlertMessageRow.sent_at.is_(None))
    row = session.scalars(query.order_by(AlertMessageRow.message_id).limit(1)).first()
    if row is None or row.next_attempt_at > now:
        return None
    return AlertMessage(
        row.message_id, row.name, row.subject, Phase(row.phase), row.channel, row.fact, row.action, row.at, row.attempt
    )


def sent(session: Session, message: AlertMessage, now: datetime) -> None:
    """The channel has it."""
    session.execute(_of(message).values(sent_at=now, attempt=message.attempt + 1))


def postpone(session: Session, message: AlertMessage, next_attempt_at: datetime) -> None:
    """It is tried again then."""
    session.execute(_of(message).values(next_attempt_at=next_attempt_at, attempt=message.attempt + 1))


def forget(session: Session, channels: Collection[str], before: datetime) -> None:
    """What was sent before then, and what is for channels that there are no more."""
    session.execute(delete(AlertMessageRow).where(AlertMessageRow.sent_at < before))
    session.execute(delete(AlertMessageRow).where(AlertMessageRow.channel.not_in(channels)))


def _of(message: AlertMessage) -> Update:
    return update(AlertMessageRow).where(AlertMessageRow.message_id == message.message_id)
