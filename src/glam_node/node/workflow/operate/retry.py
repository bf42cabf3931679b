"""Operators' requests to retry failed studies."""

from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from glam_node.node.db import deliveries, job_restarts, jobs, search, studies
from glam_node.node.db.engine import SessionFactory
from glam_node.node.db.search import Attention, StudyFilter
from glam_node.node.domain.account import Actor, Order
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.domain.study import StudyState
from glam_node.node.domain.words import by_number, counted
from glam_node.node.errors import PermanentError
from glam_node.node.workflow.analyse.context import InferenceContext
from glam_node.node.workflow.deliver.send_results import make_results_due
from glam_node.node.workflow.operate.operator_study import locked_study, record_order, require_free

RETRIED_AT_ONCE = 500

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RetryReport:
    """Result of retrying one study."""

    study_instance_uid: str
    job_id: str
    """ID of the job that starts again; empty if there was no failed or waiting job."""
    deliveries: int
    judged_again: bool
    kept: int = 0
    """Results that are not sent because the mode of their destination is not live."""

    @property
    def did_something(self) -> bool:
        """Whether there was anything to retry."""
        return bool(self.job_id) or self.deliveries + self.kept > 0 or self.judged_again

    def __str__(self) -> str:
        """Return a description for people."""
        done = [
            *(["the rules are applied to the study again"] if self.judged_again else []),
            *([f"job {self.job_id} starts over"] if self.job_id else []),
            *([f"{counted(self.deliveries, 'result')} will be sent again"] if self.deliveries else []),
            *([f"{counted(self.kept, 'result')} kept, for a destination that is not live"] if self.kept else []),
        ]
        return "; ".join(done) if done else "there is nothing to retry: nothing failed, and nothing was refused"


def retry_given_up(
    sessions: SessionFactory, actor: Actor, reason: str, now: datetime, context: InferenceContext
) -> str:
    """Retry every study with a failed job or an abandoned delivery, each in a separate transaction.

    Studies that are held or that changed meanwhile are left as they are. At most RETRIED_AT_ONCE are retried.

    Returns:
        The numbers of studies that were and were not retried, as a sentence without a full stop.
    """
    with sessions() as session:
        leaf = search.find(session, StudyFilter(attention=Attention.GIVEN_UP), None, RETRIED_AT_ONCE, oldest_first=True)
    retried = refused = 0
    for study in leaf.studies:
        try:
            with sessions.begin() as session:
                retry_study(session, Order(study.study_instance_uid, actor, now, reason), context)
            retried += 1
        except PermanentError:
            refused += 1
    are = by_number(refused, "it is", "they are")
    left = f"; {counted(refused, 'study')} could not be retried because {are} held" if refused else ""
    more = f"; more than {RETRIED_AT_ONCE} studies need it, so retry again" if leaf.has_newer else ""
    return f"{counted(retried, 'study')} will be retried{left}{more}"


def retry_study(session: Session, order: Order, context: InferenceContext) -> RetryReport:
    """Make the study's failed or waiting job and its abandoned or waiting deliveries due now.

    A study that is ineligible, or that was analysed with settings of another digest than those of `context`, is judged
    again, and the new job replaces the failed one. Results for a destination whose mode is not live become withheld.

    Raises:
        PermanentError: The study is not known, is held or set aside, or has changed since the person saw it.
    """
    study_instance_uid, now = order.study_instance_uid, order.at
    study = require_free(locked_study(session, order))
    newest = jobs.newest(session, study_instance_uid)
    digest = context.identity.settings_digest
    outdated = study.state is StudyState.REPORTED and newest is not None and newest.settings_digest != digest
    judged_again = study.state is StudyState.INELIGIBLE or outdated
    if judged_again:
        studies.set_state(session, study, StudyState.RECEIVING, "", "")
    restarts = newest is not None and not judged_again and job_restarts.retry(session, newest.job_id, now)
    job_id = newest.job_id if newest is not None and restarts else ""
    names = sorted({one.destination for one in deliveries.of_study(session, study_instance_uid)})
    due = {name: make_results_due(session, name, now, study_instance_uid, given_up=True) for name in names}
    sent_again = sum(count for name, count in due.items() if not context.kept_reason(name))
    report = RetryReport(study_instance_uid, job_id, sent_again, judged_again, sum(due.values()) - sent_again)
    facts = EventDetail(job_id=job_id, deliveries=sent_again, judged_again=judged_again)
    record_order(log, session, EventKind.RETRY_REQUESTED, order, **facts)
    return report
