"""Received SOP Instances and the attributes they state."""

from dataclasses import dataclass
from datetime import datetime

from glam_node.kinds.facts import ImageFacts
from glam_node.node.domain.identity import ImageIdentity


@dataclass(frozen=True, slots=True)
class ImageAttributes(ImageFacts):
    """Facts about an image that assembly and eligibility need, read from its header on arrival.

    Facts that a newer version of glam-node added are unknown for images received before; the whole header is judged
    again when the image is read for its analysis.
    """

    patient_mismatch: bool = False
    """True if the study had another Patient ID on arrival; used only for images without an `identity`."""


@dataclass(frozen=True, slots=True)
class SOPInstance:
    """Instance whose C-STORE was answered with 0x0000 (success): its bytes are on disk at `path`."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    transfer_syntax_uid: str
    path: str
    """Path of the file, relative to the storage root."""
    blake3: str
    """BLAKE3 of the encoded data set, without preamble and file meta information, in hex."""
    sha256: str
    """SHA-256 for an instance received by an older version, in place of BLAKE3; one of the two is always empty."""
    byte_count: int
    calling_ae_title: str
    received_at: datetime
    attributes: ImageAttributes
    identity: ImageIdentity | None = None
    """Digests of patient and study; None for objects that are not images and for instances of older versions."""

    @property
    def version(self) -> str:
        """Digest that distinguishes data sets under the same SOP Instance UID."""
        return (self.blake3 or self.sha256)[:16]


@dataclass(frozen=True, slots=True)
class StudyAttributes:
    """Study-level attributes that an instance states. Never logged."""

    patient_id: str = ""
    issuer_of_patient_id: str = ""
    accession_number: str = ""
    study_date: str = ""
    study_description: str = ""
