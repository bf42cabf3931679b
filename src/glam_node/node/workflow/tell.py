"""Events: the same facts in the audit trail and in the log."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session
from structlog.typing import FilteringBoundLogger

from glam_node.node.db import audit
from glam_node.node.domain.delivery import Delivery


def tell(log: FilteringBoundLogger, session: Session, event: str, now: datetime, **facts: Any) -> None:
    """Record an event in the transaction of its change and log it, as a warning where `facts` have a failure."""
    audit.record(session, event, now, **facts)
    (log.warning if facts.get("failure") else log.info)(event, **facts)


def tell_of_delivery(
    log: FilteringBoundLogger,
    session: Session,
    event: str,
    delivery: Delivery,
    now: datetime,
    failure: str = "",
    **facts: Any,
) -> None:
    """Record and log an event about a delivery, with its study, destination and object."""
    told = {
        "study_instance_uid": delivery.study_instance_uid,
        "destination": delivery.destination,
        "sop_class_uid": delivery.sop_class_uid,
        "sop_instance_uid": delivery.sop_instance_uid,
        **facts,
        **({"failure": failure} if failure else {}),
    }
    tell(log, session, event, now, **told)
