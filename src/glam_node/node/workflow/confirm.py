"""Asks an archive how many images a study has, so that a study is whole when all are here, and not before."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from glam_node.node.db import studies
from glam_node.node.db.engine import SessionFactory, reading
from glam_node.node.domain.screening import Archived, AssemblyRules
from glam_node.node.domain.study import Study
from glam_node.node.errors import NodeError

log = structlog.get_logger(__name__)

AT_ONCE = 20
ASK_AGAIN_AFTER = timedelta(seconds=15)
"""Of an archive that has more than we, or did not answer."""


@dataclass(frozen=True, slots=True)
class _Answer:
    archived: Archived
    last_received_at: datetime
    at: datetime


class Confirmations:
    """What the archive last said of each study that has settled; after a restart it is asked again.

    One thread asks, another reads: an archive that is slow holds up nothing else.
    """

    def __init__(self, count: Callable[[str], int], archive: str) -> None:
        self._count = count
        self._archive = archive
        self._answers: dict[str, _Answer] = {}

    def of(self, study: Study) -> Archived | None:
        """What it said since the study's last instance came; None: it was not asked since."""
        answer = self._answers.get(study.study_instance_uid)
        return answer.archived if answer is not None and answer.last_received_at == study.last_received_at else None

    def release(self) -> list[str]:
        """Studies for which the archive does not have more than came when it was asked."""
        return [uid for uid, answer in self._answers.copy().items() if not answer.archived.has_more]

    def ask(self, sessions: SessionFactory, rules: AssemblyRules, now: datetime) -> None:
        """Every study that has settled, though no more than some at once, was asked for within the last seconds."""
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
