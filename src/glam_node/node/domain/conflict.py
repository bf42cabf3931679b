"""Other bytes under a SOP Instance UID that is on record: an image that was corrected, or only encoded otherwise."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from glam_node.node.domain.instance import SOPInstance, StudyAttributes

PATIENT, STUDY, VIEW, CONTENT = "patient", "study", "view", "content"
GRAVE = (PATIENT, STUDY, VIEW)
"""Differences by which results are wrong; `content` is any other, as a new compression makes it."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A study whose images need a person."""

    study_instance_uid: str
    kinds: tuple[str, ...]
    """two_patients, two_studies; patient, study, view or content of images that were sent again, the gravest first."""
    reason: str

    @property
    def is_grave(self) -> bool:
        """Whether results may be wrong, or are missing for it."""
        return self.kinds[0] != CONTENT


@dataclass(frozen=True, slots=True)
class Conflict:
    """A newer version of an instance, kept beside the one that is analysed."""

    newer: SOPInstance
    """As it would be on record; its path is that of the file in `conflicts`."""
    study: StudyAttributes
    """What the newer version states of its study. Never logged."""
    known_study_instance_uid: str
    """The study of the version that is on record."""
    differs: tuple[str, ...]
    """What differs: patient, study, view; else content."""

    @property
    def received_at(self) -> datetime:
        """The time at which the newer version came."""
        return self.newer.received_at


def told(differs: Sequence[str]) -> str:
    """Return in words what differs in images that were sent again."""
    words = {
        PATIENT: "they state another patient",
        STUDY: "they state another study, study date or accession number",
        VIEW: "they state another view or laterality",
        CONTENT: "they state the same patient, study and view",
    }
    stated = "; ".join(words[one] for one in differs)
    return f"images were sent again with other bytes: {stated}. Those that came first are the ones that are analysed"


def differences(known: SOPInstance, newer: SOPInstance) -> tuple[str, ...]:
    """Return what differs between two versions of an instance, whose identities have digests of one study."""
    if known.identity is not None and newer.identity is not None:
        patient = known.identity.person != newer.identity.person
        study = (known.identity.study_date, known.identity.accession_number) != (
            newer.identity.study_date,
            newer.identity.accession_number,
        )
    else:
        patient = study = False
    found = {
        PATIENT: patient,
        STUDY: study or known.study_instance_uid != newer.study_instance_uid,
        VIEW: replace(known.attributes, patient_mismatch=False) != newer.attributes,
    }
    return tuple(name for name, is_so in found.items() if is_so) or (CONTENT,)
