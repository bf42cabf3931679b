"""The record of queries and retrievals that a person started, for the audit trail and the console."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from glam_node.node.audit.templates import WITHHELD
from glam_node.node.db import audit
from glam_node.node.db.engine import SessionFactory
from glam_node.node.domain.account import Actor
from glam_node.node.domain.archived import ArchivedSeries, ArchivedStudy, FoundStudies, StudyQuery
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.domain.ports import Accept, Source
from glam_node.node.errors import NodeError

_OF_PATIENT = ("PatientID", "AccessionNumber")


class RecordedSource:
    """A source whose queries and retrievals are recorded with the person who started them.

    Args:
        source: The source.
        sessions: Database sessions.
        actor: The person.
    """

    def __init__(self, source: Source, sessions: SessionFactory, actor: Actor) -> None:
        self._source, self._sessions, self._actor = source, sessions, actor

    @property
    def name(self) -> str:
        """The NAME of [sources.NAME]."""
        return self._source.name

    def find_studies(self, query: StudyQuery) -> FoundStudies:
        """Return the studies that match; see `Source`."""
        asked = _described(query)
        try:
            found = self._source.find_studies(query)
        except NodeError as error:
            self._record(EventKind.SOURCE_QUERIED, "", EventDetail(asked=asked, failure=str(error)))
            raise
        self._record(EventKind.SOURCE_QUERIED, "", EventDetail(asked=asked, matches=len(found.studies)))
        return found

    def list_series(self, study: ArchivedStudy) -> list[ArchivedSeries]:
        """Return the series that the source fetches; see `Source`."""
        return self._source.list_series(study)

    def retrieve(
        self, study: ArchivedStudy, wanted: Sequence[ArchivedSeries], accept: Accept, on_progress: Callable[[], None]
    ) -> list[str]:
        """Have the archive send instances of a study; see `Source`."""
        uid = study.study_instance_uid
        try:
            failures = self._source.retrieve(study, wanted, accept, on_progress)
        except NodeError as error:
            self._record(EventKind.SOURCE_ASKED_TO_SEND, uid, EventDetail(failure=str(error)))
            raise
        self._record(EventKind.SOURCE_ASKED_TO_SEND, uid, EventDetail(failure=" ".join(failures[:1])))
        return failures

    def check(self) -> str:
        """Return a sentence that confirms that the archive answers; see `Source`."""
        return self._source.check()

    def _record(self, kind: EventKind, study_instance_uid: str, facts: EventDetail) -> None:
        facts |= {"source": self.name, "account": self._actor.account, "address": self._actor.address}
        with self._sessions.begin() as session:
            audit.record(session, kind, datetime.now(UTC), study_instance_uid=study_instance_uid, **facts)


def _described(query: StudyQuery) -> str:
    """Return the matching keys in words, without the values that identify a patient."""
    keys = {key: WITHHELD if key in _OF_PATIENT else value for key, value in query.keys.items() if value}
    return ", ".join(f"{key}={value}" for key, value in keys.items()) or "all studies"
