"""Studies of orders, fetched from a source: the node looks for each until it is there and grows no more."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy.orm import Session

from glam_node.node.db import alerts, imaging_orders, patient_changes
from glam_node.node.db.engine import SessionFactory, reading
from glam_node.node.domain.alert import Alert
from glam_node.node.domain.archived import ArchivedStudy, StudyQuery
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.domain.imaging_order import FetchState, ImagingOrder
from glam_node.node.domain.ports import Source
from glam_node.node.domain.stated_patient import PatientIdentifier
from glam_node.node.errors import NodeError, TransientError
from glam_node.node.workflow.receive.fetch_study import StudyFetcher, shortfall
from glam_node.node.workflow.record.events import record_event
from glam_node.node.workflow.record.heartbeat import heartbeat

log = structlog.get_logger(__name__)

CLAIM_TIME = timedelta(seconds=30)
"""Time for which a look is reserved; a running process renews it, and another takes over if it dies."""
REST_S = 30.0
"""Seconds without new requests after the source did not answer."""
_MOST_STUDIES = 10
NOT_FOUND = "the source has no study of the order yet"
OTHER_PATIENT = "the source has the study of the order only with another Patient ID or assigning authority"
WILDCARD = "the Accession Number of the order has a character that is a wildcard in queries (*, ?, \\)"
TOO_MANY = f"the source has more than {_MOST_STUDIES} studies with the number of the order"


@dataclass(frozen=True, slots=True)
class _Look:
    """Result of a look at the source."""

    studies: Sequence[ArchivedStudy] = ()
    instances: int = 0
    failure: str = ""
    answered: bool = True
    is_hopeless: bool = False
    """Whether no later look can find the study."""


class OrderFetches:
    """Fetches the studies of orders from one source, one after the other.

    Args:
        source: The source, which is searched.
        fetcher: The fetcher of its studies.
        sessions: Database sessions.
        interval_s: Seconds between two looks for the same study.
        authority: The assigning authority of Patient IDs that state none; empty if it is not known.
        now: Function that returns the time.
    """

    def __init__(
        self,
        source: Source,
        fetcher: StudyFetcher,
        sessions: SessionFactory,
        interval_s: float,
        authority: str = "",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._source, self._fetcher, self._sessions, self._now = source, fetcher, sessions, now
        self._interval, self._authority = timedelta(seconds=interval_s), authority

    def look(self) -> float | None:
        """Look for the study of the order that is due first; return the seconds to rest, None if no order is due."""
        with reading(self._sessions)() as session:
            order = imaging_orders.to_fetch(session, self._now())
        if order is None:
            return None
        with self._sessions.begin() as session:
            if not imaging_orders.claim_fetch(session, order, self._now() + CLAIM_TIME):
                return 0.0
        with heartbeat(partial(self._renew, order), every_s=CLAIM_TIME.total_seconds() / 4):
            found = self._fetched(order)
        with self._sessions.begin() as session:
            self._record(session, order, found)
        return 0.0 if found.answered else REST_S

    def _renew(self, order: ImagingOrder) -> None:
        with self._sessions.begin() as session:
            imaging_orders.record_fetch(session, order, next_attempt_at=self._now() + CLAIM_TIME)

    def _fetched(self, order: ImagingOrder) -> _Look:
        """Search for the studies of an order and fetch what is missing of them."""
        asked = StudyQuery(limit=_MOST_STUDIES, return_keys=("IssuerOfPatientID",))
        if order.study_instance_uid:
            asked = replace(asked, study_instance_uid=order.study_instance_uid)
        elif set(order.accession_number) & set("*?\\"):
            return _Look(failure=WILDCARD, is_hopeless=True)
        else:
            asked = replace(asked, accession_number=order.accession_number)
        studies: list[ArchivedStudy] = []
        instances, failures = 0, []
        try:
            listed = self._source.find_studies(asked)
            if listed.is_cut:
                return _Look(failure=TOO_MANY)
            studies = self._of_patient(listed.studies, order)
            for study in studies:
                outcome = self._fetcher.fetch(study)
                instances += outcome.expected
                if missing := shortfall(outcome):
                    failures.append(missing)
        except NodeError as error:
            return _Look(studies, instances, str(error), not isinstance(error, TransientError))
        if not studies:
            failures.append(OTHER_PATIENT if listed.studies else NOT_FOUND)
        return _Look(studies, instances, " ".join(failures))

    def _of_patient(self, listed: Sequence[ArchivedStudy], order: ImagingOrder) -> list[ArchivedStudy]:
        """Return the studies of the patient of an order, perhaps under an ID that was merged into hers."""
        patient = order.patient.named(self._authority)
        found = []
        with reading(self._sessions)() as session:
            for one in listed:
                stated = PatientIdentifier(one.patient_id, one.issuer_of_patient_id).named(self._authority)
                numbers = patient_changes.ids_after_merges(session, stated)
                if any(self._is_same(number, patient) for number in numbers):
                    found.append(one)
        return found

    def _is_same(self, number: PatientIdentifier, patient: PatientIdentifier) -> bool:
        # Many archives do not return the issuer; where the site does not name its own, that proves nothing.
        return number.is_surely(patient) or (not self._authority and number.is_same_as(patient) is None)

    def _record(self, session: Session, order: ImagingOrder, found: _Look) -> None:
        now = self._now()
        is_whole = bool(found.instances) and not found.failure
        is_settled = is_whole and found.instances == order.instances
        changes: dict[str, Any] = {"instances": found.instances, "failure": found.failure, "changed_at": now}
        is_late = order.fetch_until is not None and now >= order.fetch_until
        gives_up = found.is_hopeless or (is_late and not is_whole)
        if is_settled:
            changes |= {"fetch_state": FetchState.FETCHED, "next_attempt_at": None}
        elif gives_up:
            changes |= {"fetch_state": FetchState.GIVEN_UP, "next_attempt_at": None}
        else:
            changes["next_attempt_at"] = now + self._interval
        if not imaging_orders.record_fetch(session, order, **changes):
            return
        if is_settled:
            for study in found.studies:
                facts = EventDetail(source=self._source.name, instances=found.instances)
                uid = study.study_instance_uid
                record_event(log, session, EventKind.ORDER_FETCHED, now, study_instance_uid=uid, **facts)
        elif gives_up:
            self._give_up(session, order, found, now)

    def _give_up(self, session: Session, order: ImagingOrder, found: _Look, now: datetime) -> None:
        detail = EventDetail(source=self._source.name, attempt=order.attempt + 1, failure=found.failure)
        record_event(log, session, EventKind.ORDER_GIVEN_UP, now, **detail)
        fact = f"The study of an order was not fetched from sources.{self._source.name}: {found.failure}."
        action = (
            "Check whether the study is in the archive, and that hl7.accession_number names the field with its "
            f"number. `glam-node archive fetch {self._source.name}` fetches a study by hand."
        )
        alerts.notify(session, Alert("order", self._source.name, fact, action), now)
