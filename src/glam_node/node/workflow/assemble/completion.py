"""Completion: finds the studies whose images have all arrived; if an archive is configured for this, it confirms."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from glam_node.node.db import studies
from glam_node.node.db.engine import SessionFactory, reading
from glam_node.node.domain.completeness import Archived, AssemblyPolicy, completeness
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.domain.study import Study, StudyState
from glam_node.node.errors import NodeError
from glam_node.node.workflow.record.events import record_event

log = structlog.get_logger(__name__)

ASKED_AT_ONCE = 20
"""Maximum number of studies that the archive is asked about per call."""
CLOSED_AT_ONCE = 100
"""Maximum number of studies that are checked for completeness per call."""
ASK_AGAIN_AFTER = timedelta(seconds=15)
"""Time after which an answer is dropped and the archive is asked about the study again."""


@dataclass(frozen=True, slots=True)
class _Answer:
    archived: Archived
    last_received_at: datetime
    at: datetime


class Confirmations:
    """The archive's last answer for each settled study; answers are lost at a restart, and the archive is asked again.

    One thread asks and another reads, so that a slow archive delays nothing else.
    """

    def __init__(self, count: Callable[[str], int], archive: str) -> None:
        self._count = count
        self._archive = archive
        self._answers: dict[str, _Answer] = {}

    def of(self, study: Study) -> Archived | None:
        """Return the archive's answer, or None when the study received an instance after it or was not asked about."""
        answer = self._answers.get(study.study_instance_uid)
        return answer.archived if answer is not None and answer.last_received_at == study.last_received_at else None

    def release(self) -> list[str]:
        """Return the UIDs of the studies for which the archive is not known to have more images than the node."""
        return [uid for uid, answer in self._answers.copy().items() if not answer.archived.has_more]

    def ask(self, sessions: SessionFactory, policy: AssemblyPolicy, now: datetime) -> None:
        """Ask the archive about up to ASKED_AT_ONCE settled studies without a recent answer, and drop older answers."""
        recent = now - ASK_AGAIN_AFTER
        self._answers = {uid: answer for uid, answer in self._answers.items() if answer.at > recent}
        with reading(sessions)() as session:
            settled = now - timedelta(seconds=policy.settle_time_s)
            waiting = studies.settled(session, settled, ASKED_AT_ONCE, but_not=list(self._answers))
        for study in waiting:
            self._answers[study.study_instance_uid] = _Answer(
                self._count_in_archive(study), study.last_received_at, now
            )

    def _count_in_archive(self, study: Study) -> Archived:
        try:
            images: int | None = self._count(study.study_instance_uid)
        except NodeError as error:
            log.warning("archive_not_asked", study_instance_uid=study.study_instance_uid, failure=str(error))
            images = None
        return Archived(self._archive, images, study.mammograms)


def close_complete_studies(
    session: Session, now: datetime, policy: AssemblyPolicy, confirmations: Confirmations | None = None
) -> list[Study]:
    """Set the studies that are complete to COMPLETE, with the rule and the reason, and return them.

    Each call looks at up to CLOSED_AT_ONCE studies, those that have waited longest first.
    """
    closed = []
    released = confirmations.release() if confirmations is not None else ()
    for study in studies.possibly_complete(session, policy, now, CLOSED_AT_ONCE, released):
        whole = completeness(study, policy, now, confirmations.of(study) if confirmations is not None else None)
        if whole.complete:
            complete = studies.set_state(session, study, StudyState.COMPLETE, whole.rule, whole.reason)
            facts = EventDetail(rule=complete.rule, reason=complete.reason, instances=len(complete.instances))
            uid = complete.study_instance_uid
            record_event(log, session, EventKind.STUDY_COMPLETE, now, study_instance_uid=uid, **facts)
            closed.append(complete)
    return closed
