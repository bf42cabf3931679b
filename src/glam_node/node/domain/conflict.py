"""Conflicts: instances that arrive again with other bytes under a known SOP Instance UID.

The image may have been corrected, or only encoded differently.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from glam_node.node.domain.instance import SOPInstance, StudyAttributes

PATIENT, STUDY, VIEW, CONTENT = "patient", "study", "view", "content"
GRAVE = (PATIENT, STUDY, VIEW)
"""Differences that can make results wrong; CONTENT means any other difference, for example a new compression."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Study whose images need a person's decision."""

    study_instance_uid: str
    kinds: tuple[str, ...]
    """Kinds of doubt, the most serious first: two_patients, two_studies, or the differences of the newer versions."""
    reason: str
    """Explanation for people."""

    @property
    def is_grave(self) -> bool:
        """Whether results may be wrong or are missing because of the doubt."""
        return self.kinds[0] != CONTENT


@dataclass(frozen=True, slots=True)
class Conflict:
    """Newer version of an instance, kept in addition to the version that is analysed."""

    newer: SOPInstance
    """The newer version; its path names the file in `conflicts/`."""
    study: StudyAttributes
    """Study-level attributes that the newer version states. Never logged."""
    known_study_instance_uid: str
    """Study Instance UID of the known version."""
    differs: tuple[str, ...]
    """Differences between the versions: any of PATIENT, STUDY and VIEW, else CONTENT."""

    @property
    def received_at(self) -> datetime:
        """Time at which the newer version was received."""
        return self.newer.received_at


def describe_differences(differs: Sequence[str]) -> str:
    """Return the differences of images that were sent again, in words."""
    words = {
        PATIENT: "they state another patient",
        STUDY: "they state another study, study date or accession number",
        VIEW: "they state another view or laterality",
        CONTENT: "they state the same patient, study and view",
    }
    stated = "; ".join(words[one] for one in differs)
    return f"images were sent again with other bytes: {stated}. The images that came first are analysed"


def differences(known: SOPInstance, newer: SOPInstance) -> tuple[str, ...]:
    """Return the differences between two versions of an instance.

    Args:
        known: The version that was received first.
        newer: The newer version; its identity must be digested with the same Study Instance UID as that of `known`.

    Returns:
        PATIENT, STUDY and VIEW as far as they differ; else CONTENT alone.
    """
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
