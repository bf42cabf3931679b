"""The clock of the host went back: nothing waits until it has caught up."""

from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from glam_node.node.db import clock
from glam_node.node.domain.retry import RetryPolicy
from glam_node.node.workflow.deliver import CLAIM_TIME

log = structlog.get_logger(__name__)


def follow_clock(
    session: Session, now: datetime, *, lease_time_s: float, inference_policy: RetryPolicy, delivery_policy: RetryPolicy
) -> int:
    """How many studies, jobs and deliveries waited for a time further ahead than these settings can ask for."""
    freed = clock.bring_back(
        session,
        now,
        job_wait=timedelta(seconds=max(lease_time_s, inference_policy.maximum_delay_s)),
        delivery_wait=max(CLAIM_TIME, timedelta(seconds=delivery_policy.maximum_delay_s)),
    )
    if freed:
        log.warning("clock_went_back", freed=freed)
    return freed
