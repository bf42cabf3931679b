"""Confirmation by an archive: a study is complete when it has as many images here as the archive has."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from glam_node.node.db import studies
from glam_node.node.db.engine import SessionFactory, reading
from glam_node.node.domain.completeness import Archived, AssemblyRules
from glam_node.node.domain.study import Study
from glam_node.node.errors import NodeError

log = structlog.get_logger(__name__)

AT_ONCE = 20
ASK_AGAIN_AFTER = timedelta(seconds=15)
"""Time after which an answer is dropped and the archive is asked about the study again."""


@dataclass(frozen=True, slots=True)
class _Answer:
    archived: Archived
    last_received_at: datetime
    at: datetime


class Confirmations:
    """The archive's last answer for each settled study; answers are lost at a restart, and asked for again.

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
        """Return the UIDs of the studies of which the archive has no more images than were here."""
        return [uid for uid, answer in self._answers.copy().items() if not answer.archived.has_more]

    def ask(self, sessions: SessionFactory, rules: AssemblyRules, now: datetime) -> None:
        """Ask the archive about up to AT_ONCE settled studies without a recent answer, and drop older answers."""
        recent = now - ASK_AGAIN_AFTER
        self._answers = {uid: answer for uid, answer in self._answers.items() if answer.at > recent}
        with reading(sessions)() as session:
            settled = now - timedelta(seconds=rules.settle_time_s)
            waiting = studies.settled(session, settled, AT_ONCE, but_not=list(self._answers))
        for study in waiting:
            self._answers[study.study_instance_uid] = _Answer(self._asked(study), study.last_received_at, now)

    def _asked(self, study: Study) -> Archived:
        try:
            images: int | None = self._count(study.study_instance_uid)
        except NodeError as error:
            log.warning("archive_not_asked", study_instance_uid=study.study_instance_uid, failure=str(error))
            images = None
        return Archived(self._archive, images, study.mammograms)
