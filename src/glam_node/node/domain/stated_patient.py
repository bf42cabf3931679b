"""A patient as a message of the hospital states it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class PatientIdentifier:
    """One ID of a patient with its assigning authority. Never logged."""

    value: str
    authority: str = ""
    """Namespace of the assigning authority, which is Issuer of Patient ID in images; empty if it is not stated."""
    universal_id: str = ""
    """Universal ID of the assigning authority; empty if it is not stated."""

    @property
    def is_named(self) -> bool:
        """Whether the assigning authority is stated."""
        return bool(self.authority or self.universal_id)

    def is_same_as(self, other: "PatientIdentifier") -> bool | None:
        """Return whether both are one ID of one assigning authority; None if that is not stated."""
        pairs = [
            (self.authority.casefold(), other.authority.casefold()),
            (self.universal_id, other.universal_id),
        ]
        stated = [one == another for one, another in pairs if one and another]
        if self.value != other.value or False in stated:
            return False
        return True if stated else None

    def is_surely(self, other: "PatientIdentifier") -> bool:
        """Return whether both are one ID, either of one assigning authority or both without one."""
        is_same = self.is_same_as(other)
        return is_same or (is_same is None and not self.is_named and not other.is_named)

    def named(self, authority: str) -> "PatientIdentifier":
        """Return the identifier with this authority if it states none."""
        return self if self.is_named else PatientIdentifier(self.value, authority)


@dataclass(frozen=True, slots=True)
class StatedPatient:
    """Patient as a message states it; what it does not state is empty. Never logged."""

    identifiers: tuple[PatientIdentifier, ...]
    name: str = ""
    """Name in the form of DICOM (PN): family, given and middle name, prefix and suffix."""
    birth_date: str = ""
    """YYYYMMDD."""
    sex: str = ""
    """M, F, O or empty."""

    def identifier_of(self, authority: str) -> PatientIdentifier:
        """Return the identifier of an assigning authority; the first one if none is of it, or it is empty."""
        same = [one for one in self.identifiers if one.authority.casefold() == authority.casefold()]
        return same[0] if authority and same else self.identifiers[0]

    def header(self, identifier: PatientIdentifier) -> Mapping[str, Any]:
        """Return the patient as attributes of an image, with one of the identifiers, for `domain.identity`."""
        qualifiers = [{"UniversalEntityID": identifier.universal_id}] if identifier.universal_id else []
        return {
            "PatientID": identifier.value,
            "IssuerOfPatientID": identifier.authority,
            "IssuerOfPatientIDQualifiersSequence": qualifiers,
            "PatientName": self.name,
            "PatientBirthDate": self.birth_date,
            "PatientSex": self.sex,
        }
