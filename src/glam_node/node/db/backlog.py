"""Since when something waits."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from glam_node.node.db.jobs import UNFINISHED
from glam_node.node.db.tables import DeliveryRow, JobRow
from glam_node.node.domain.delivery import DeliveryState


def oldest_unfinished_job(session: Session) -> datetime | None:
    """When the job was made that waits or runs longest; None when there is none."""
    return session.scalar(select(func.min(JobRow.created_at)).where(JobRow.state.in_(UNFINISHED)))


def oldest_pending_deliveries(session: Session) -> dict[str, datetime]:
    """Per destination with a backlog, when its oldest delivery was made."""
    query = (
        select(DeliveryRow.destination, func.min(DeliveryRow.created_at))
        .where(DeliveryRow.state == DeliveryState.PENDING)
        .group_by(DeliveryRow.destination)
    )
    return {destination: created_at for destination, created_at in session.execute(query)}
