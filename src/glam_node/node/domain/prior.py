"""Prior exams: earlier exams of the same patient, which are fetched before an analysis and compared with it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from glam_node.node.domain.archived import ArchivedStudy, StudyQuery
from glam_node.node.domain.identity import is_placeholder
from glam_node.node.domain.words import counted
from glam_node.node.domain.words import date as shown_date

MODALITY = "MG"
LONGEST_WAIT = timedelta(hours=1)
"""The longest time that an analysis may wait for prior exams."""
RETURN_KEYS = ("IssuerOfPatientID", "PatientBirthDate")
"""Attributes of a patient that are compared before anything is fetched."""


@dataclass(frozen=True, slots=True)
class PriorPlan:
    """Plan of a rule for prior exams."""

    rule: str
    """Title of the rule, such as rules.NAME."""
    source: str
    """NAME of the [sources.NAME] that they are fetched from."""
    count: int
    maximum_age_days: int
    wait_s: float
    analyse: bool
    """True if prior exams without findings on record are analysed."""
    send: bool
    """True if prior exams are routed like any other study."""

    def __str__(self) -> str:
        exams = counted(self.count, "prior exam")
        return f"up to {exams} from sources.{self.source}, for which it waits {self.wait_s:g} s at most"


class SearchState(StrEnum):
    """State of the search for the prior exams of a study; the values are stored in the database and stay the same."""

    OPEN = "OPEN"
    """The analysis of the study waits for prior exams."""
    DONE = "DONE"
    """All prior exams that there are, up to the number that the rule wants, are ready."""
    EXPIRED = "EXPIRED"
    """The time of the rule was over; the analysis started with the prior exams that were ready."""


class PriorState(StrEnum):
    """State of one prior exam of a study; the values are stored in the database and stay the same."""

    FOUND = "FOUND"
    """The exam is known and still to be fetched, if it is needed."""
    FETCHED = "FETCHED"
    """The node has the images; their analysis may not be finished."""
    READY = "READY"
    """Findings are on record."""
    UNUSABLE = "UNUSABLE"
    """The exam is not compared; `failure` says why."""


@dataclass(frozen=True, slots=True)
class PriorStudy:
    """One prior exam of a study."""

    study_instance_uid: str
    study_date: str
    """YYYYMMDD."""
    state: PriorState
    failure: str = ""
    fetched_for_this: bool = False
    """True if the node has the exam only because it was fetched as a prior exam."""


@dataclass(frozen=True, slots=True)
class PriorSearch:
    """The search for the prior exams of one study."""

    study_instance_uid: str
    plan: PriorPlan
    state: SearchState
    until: datetime
    """Time at which the analysis starts in any case."""
    is_searched: bool
    """True if the archive has answered which exams there are."""
    failure: str
    """The last failure of the archive, in words."""
    priors: tuple[PriorStudy, ...]
    """The newest first."""

    @property
    def ready(self) -> tuple[PriorStudy, ...]:
        """The prior exams with findings on record, at most as many as the rule wants."""
        return tuple(one for one in self.priors if one.state is PriorState.READY)[: self.plan.count]

    @property
    def next_to_fetch(self) -> PriorStudy | None:
        """The newest prior exam that is needed and not fetched yet; None if enough are ready or on their way."""
        enough = sum(one.state in (PriorState.READY, PriorState.FETCHED) for one in self.priors) >= self.plan.count
        waiting = (one for one in self.priors if one.state is PriorState.FOUND)
        return None if enough else next(waiting, None)

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to wait for."""
        waits = any(one.state in (PriorState.FOUND, PriorState.FETCHED) for one in self.priors)
        return self.is_searched and (len(self.ready) >= self.plan.count or not waits)

    @property
    def awaited(self) -> str:
        """The reason why prior exams are still awaited, or came too late."""
        if self.failure:
            return self.failure
        if not self.is_searched:
            return f"sources.{self.plan.source} has not answered which exams there are"
        steps = {PriorState.FOUND: "not fetched yet", PriorState.FETCHED: "fetched, but not analysed yet"}
        waiting = [
            f"the exam of {shown_date(one.study_date)} is {steps[one.state]}"
            for one in self.priors
            if one.state in steps
        ]
        return "; ".join(waiting)

    def outcome(self) -> str:
        """Return the outcome in words."""
        found = f"{len(self.ready)} of {counted(self.plan.count, 'prior exam')} to compare"
        unusable = [f"the exam of {shown_date(one.study_date)}: {one.failure}" for one in self.priors if one.failure]
        none = self.is_searched and not self.failure and not self.priors
        there_are = [f"sources.{self.plan.source} and this node have none of this patient"] if none else []
        late = ["the time to wait was over"] if self.state is SearchState.EXPIRED else []
        return "; ".join([found, *there_are, *late, *([self.failure] if self.failure else []), *unusable])


@dataclass(frozen=True, slots=True)
class SoughtPatient:
    """The patient whose prior exams are sought, as the study states them; never logged or stored."""

    patient_id: str
    issuer_of_patient_id: str
    patient_birth_date: str
    study_instance_uid: str
    study_date: str

    @property
    def lacks(self) -> str:
        """Names of the facts without which no exam can be attributed to the patient; empty if the study states all."""
        stated = {
            "Patient ID": not is_placeholder(self.patient_id),
            "Patient's Birth Date": _day(self.patient_birth_date) is not None,
            "Study Date": _day(self.study_date) is not None,
        }
        return " and ".join(name for name, is_stated in stated.items() if not is_stated)

    def query(self, maximum_age_days: int) -> StudyQuery:
        """Return the query for exams of earlier days; those of the same day belong to this exam."""
        day = _day(self.study_date) or date.min
        first = max(day - timedelta(days=min(maximum_age_days, day.toordinal() - 1)), date(1900, 1, 1))
        last = day - timedelta(days=1)
        return StudyQuery(
            patient_id=self.patient_id,
            date_from=f"{first:%Y%m%d}",
            date_to=f"{last:%Y%m%d}",
            modality=MODALITY,
            return_keys=RETURN_KEYS,
        )

    def admits(self, study: ArchivedStudy) -> bool:
        """Return whether an answer of the archive contradicts nothing: it is of an earlier exam of this patient."""
        issuers = self.issuer_of_patient_id.casefold(), study.issuer_of_patient_id.casefold()
        if study.study_instance_uid == self.study_instance_uid or study.patient_id != self.patient_id:
            return False
        if all(issuers) and issuers[0] != issuers[1]:
            return False
        if study.patient_birth_date and study.patient_birth_date != self.patient_birth_date:
            return False
        return _day(study.study_date) is not None


def newest_first(found: Iterable[ArchivedStudy]) -> list[ArchivedStudy]:
    """Return the studies, each once, the newest first."""
    once = {one.study_instance_uid: one for one in found}
    return sorted(once.values(), key=lambda one: (one.study_date, one.study_instance_uid), reverse=True)


def _day(stated: str) -> date | None:
    try:
        return date.fromisoformat(stated) if len(stated) == 8 and stated.isdecimal() else None
    except ValueError:
        return None
