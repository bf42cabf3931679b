"""Repair of waiting times after the clock of the host was set back."""

from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from glam_node.node.db import clock
from glam_node.node.domain.job import RetryPolicy
from glam_node.node.workflow.deliver import CLAIM_TIME

log = structlog.get_logger(__name__)


def follow_clock(
    session: Session, now: datetime, *, lease_time_s: float, inference_policy: RetryPolicy, delivery_policy: RetryPolicy
) -> int:
    """Shorten waits that end later than these settings allow, and return how many there were.

    Studies, jobs and deliveries have such times when they were written before the clock was set back.
    """
    freed = clock.correct_future_times(
        session,
        now,
        job_wait=timedelta(seconds=max(lease_time_s, inference_policy.maximum_delay_s)),
        delivery_wait=max(CLAIM_TIME, timedelta(seconds=delivery_policy.maximum_delay_s)),
    )
    if freed:
        log.warning("clock_went_back", freed=freed)
    return freed
