"""Corrections and merges of patients, and what they mean for the results of a study."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from glam_node.node.domain.identity import ImageIdentity, Issuer, identity_of
from glam_node.node.domain.identity_comparison import Answer, compared
from glam_node.node.domain.stated_patient import PatientIdentifier, StatedPatient
from glam_node.node.domain.study import Study


class ChangeKind(StrEnum):
    """Kind of a change."""

    CORRECTED = "corrected"
    """The patient's name, birth date or sex was corrected (ADT^A08, A31)."""
    MERGED = "merged"
    """The Patient ID of the images was merged into another one (ADT^A40)."""


@dataclass(frozen=True, slots=True)
class CorrectedPatient:
    """Patient that results name in place of the one in the images. Never logged."""

    patient_id: str
    issuer_of_patient_id: str
    name: str
    birth_date: str
    sex: str
    """Empty values leave those of the images."""


@dataclass(frozen=True, slots=True)
class PatientChange:
    """Change of the patient of a study after its images were made."""

    study_instance_uid: str
    kind: ChangeKind
    follows: bool
    """True if results are made for the corrected patient; False if they wait for a person."""
    reason: str
    """Explanation that names the facts that differ, never their values."""
    patient: CorrectedPatient
    at: datetime
    settled_at: datetime | None = None
    """Time at which a person decided; from then on, results name the patient as the images do."""


@dataclass(frozen=True, slots=True)
class PatientMerge:
    """Merge of a Patient ID into another one."""

    prior: PatientIdentifier
    surviving: StatedPatient
    """The first identifier is the one that survives."""
    is_sure: bool = True
    """False if a later merge may concern the surviving patient, so that a person decides."""


@dataclass(frozen=True, slots=True)
class ChangePolicy:
    """Settings that decide what a change means."""

    authority: str
    """Assigning authority of Patient IDs that state none; empty if the site does not name it."""
    follow_corrections: bool
    follow_merges: bool

    def follows(self, kind: ChangeKind) -> bool:
        """Return whether the site wants results for the corrected patient."""
        return self.follow_corrections if kind is ChangeKind.CORRECTED else self.follow_merges

    def named(self, identifier: PatientIdentifier) -> PatientIdentifier:
        """Return the identifier with the site's authority if it states none."""
        return identifier.named(self.authority)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Comparison of a stated patient with the images of a study."""

    is_same_number: bool
    """Whether the Patient ID of the message may be that of the images."""
    is_sure: bool = False
    """Whether the same authority issued both numbers, as far as is stated."""
    differs: tuple[str, ...] = ()
    """Facts that differ, such as the name."""

    @property
    def is_doubtful(self) -> bool:
        """Whether the facts that differ may be those of another person."""
        return not self.is_sure or {"name", "birth date"} <= set(self.differs)


def compare_with_images(
    stated: StatedPatient, identifier: PatientIdentifier, images: Sequence[ImageIdentity], uid: str, authority: str
) -> Comparison:
    """Return how a stated patient compares with the images of a study.

    Args:
        stated: The patient of the message.
        identifier: The identifier of that patient that equals the Patient ID of the study.
        images: The identities of the images; if there are none, only the number is known to be the same.
        uid: Study Instance UID, which the digests of the images depend on.
        authority: The assigning authority of Patient IDs that state none; empty if it is not known.
    """
    theirs = identity_of(stated.header(identifier), uid)
    own = identity_of({"IssuerOfPatientID": authority}, uid).patient_number.issuer
    issuers = [_named(image.patient_number.issuer, own) for image in images]
    issuer = theirs.patient_number.issuer
    if any(issuer.is_another(one) for one in issuers):
        return Comparison(False)
    answers = [compared(theirs, image) for image in images]
    different = (Answer.CONTRADICTS, Answer.PARTLY)
    differs = tuple(
        fact for fact in ("name", "birth date", "sex") if any(answer[fact] in different for answer in answers)
    )
    return Comparison(True, bool(issuers) and all(issuer.is_the_same(one) for one in issuers), differs)


def is_of_patient(identifier: PatientIdentifier, study: Study, authority: str) -> bool:
    """Return whether an ID in a message is the Patient ID of a study, of the same assigning authority.

    Args:
        identifier: The ID.
        study: The study.
        authority: The assigning authority of IDs that state none; if it is not known either, an ID without an authority
            is the same only as another one without.
    """
    attributes, uid = study.attributes, study.study_instance_uid
    if not identifier.value or identifier.value != attributes.patient_id:
        return False
    images = {one.identity.patient_number.issuer for one in study.instances if one.identity is not None} - {Issuer()}
    stated = images or {_issuer(PatientIdentifier("", attributes.issuer_of_patient_id).named(authority), uid)}
    theirs = _issuer(identifier.named(authority), uid)
    return all(one == theirs or one.is_the_same(theirs) for one in stated)


def _issuer(identifier: PatientIdentifier, uid: str) -> Issuer:
    return identity_of(StatedPatient(()).header(identifier), uid).patient_number.issuer


def _named(issuer: Issuer, own: Issuer) -> Issuer:
    return issuer if issuer != Issuer() else own
