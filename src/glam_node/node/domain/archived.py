"""Studies as an archive describes them, and queries for them."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ArchivedStudy:
    """Study in an archive. Values that the archive does not return are empty."""

    study_instance_uid: str
    patient_id: str = ""
    accession_number: str = ""
    study_date: str = ""
    """Study Date as YYYYMMDD."""
    modalities: tuple[str, ...] = ()
    instances: int | None = None
    """Number of Study Related Instances; None if the archive does not return it."""
    issuer_of_patient_id: str = field(default="", repr=False)
    """Returned only if the query asks for it, like the birth date; neither is logged or stored."""
    patient_birth_date: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ArchivedSeries:
    """Series of a study in an archive."""

    series_instance_uid: str
    modality: str = ""
    count: int | None = None
    """Number of Series Related Instances; None if the archive does not return it."""
    sop_instance_uids: tuple[str, ...] = ()
    """Instances that the archive lists; empty if it lists none."""
    sop_class_uids: frozenset[str] = frozenset()
    """SOP classes of the listed instances."""

    @property
    def expected(self) -> int:
        """The number of instances that the archive has."""
        return max(self.count or 0, len(self.sop_instance_uids))


@dataclass(frozen=True, slots=True)
class StudyQuery:
    """Matching keys of a query for studies; empty ones match every study."""

    patient_id: str = ""
    accession_number: str = ""
    study_instance_uid: str = ""
    date_from: str = ""
    """First Study Date, as YYYYMMDD."""
    date_to: str = ""
    """Last Study Date, as YYYYMMDD."""
    modality: str = ""
    limit: int = 100
    """Maximum number of studies to return."""
    return_keys: tuple[str, ...] = ()
    """Keywords of further attributes that the archive is asked to return."""

    @property
    def dates(self) -> str:
        """The range of dates as the value of a matching key (PS3.4 C.2.2.2.5)."""
        return f"{self.date_from}-{self.date_to}" if self.date_from or self.date_to else ""

    @property
    def keys(self) -> dict[str, str]:
        """The values of the matching keys by keyword; empty ones match every study."""
        return {
            "StudyInstanceUID": self.study_instance_uid,
            "PatientID": self.patient_id,
            "AccessionNumber": self.accession_number,
            "StudyDate": self.dates,
            "ModalitiesInStudy": self.modality,
        }

    def admits(self, study: ArchivedStudy) -> bool:
        """Return whether a study matches; archives may ignore matching keys.

        A modality that the archive does not return counts as matching, since Modalities in Study is optional.
        """
        asked = (
            (self.patient_id, study.patient_id),
            (self.accession_number, study.accession_number),
            (self.study_instance_uid, study.study_instance_uid),
        )
        if any(wanted and wanted != stated for wanted, stated in asked):
            return False
        if self.dates and not self.date_from <= study.study_date <= (self.date_to or "99991231"):
            return False
        return not (self.modality and study.modalities and self.modality not in study.modalities)


@dataclass(frozen=True, slots=True)
class FoundStudies:
    """Answer to a query for studies."""

    studies: tuple[ArchivedStudy, ...]
    """The matching studies, each once, the newest first."""
    is_cut: bool = False
    """Whether the archive has more matching studies than the limit of the query."""


MOST_OTHERS = 10_000
"""Number of answers that do not match, after which a query ends: the archive ignores its matching keys."""


def found_studies(answers: Iterable[ArchivedStudy], query: StudyQuery) -> FoundStudies:
    """Return the studies among the answers that match, each once, up to the limit of the query.

    The answers are not read beyond one study more than the limit, or beyond `MOST_OTHERS` that do not match.
    """
    found: dict[str, ArchivedStudy] = {}
    others = 0
    for study in answers:
        if study.study_instance_uid and query.admits(study):
            found.setdefault(study.study_instance_uid, study)
        else:
            others += 1
        if len(found) > query.limit or others > MOST_OTHERS:
            break
    studies = sorted(list(found.values())[: query.limit], key=lambda one: one.study_date, reverse=True)
    return FoundStudies(tuple(studies), len(found) > query.limit or others > MOST_OTHERS)
