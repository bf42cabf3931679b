"""One received SOP Instance."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath

from glam_node.kinds.facts import ImageFacts
from glam_node.node.domain.identity import ImageIdentity


@dataclass(frozen=True, slots=True)
class ImageAttributes(ImageFacts):
    """What assembly and eligibility need to know of an image, as its header said when it was received.

    An image that an earlier version received lacks the facts that this version added: they count as unknown, and the
    whole header is judged again when the image is read for its analysis.
    """

    patient_mismatch: bool = False
    """It arrived under the Study Instance UID of another Patient ID; decides only where `identity` was not kept."""


@dataclass(frozen=True, slots=True)
class SOPInstance:
    """An instance that was answered 0x0000: its bytes are on disk at `path`."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    transfer_syntax_uid: str
    path: str
    """Relative to the storage root."""
    blake3: str
    """Of the encoded data set, without preamble and file meta information, in hex."""
    sha256: str
    """The same of an instance that was received by a version that took no BLAKE3; one of both is empty."""
    byte_count: int
    calling_ae_title: str
    received_at: datetime
    attributes: ImageAttributes
    identity: ImageIdentity | None = None
    """What an image states of patient and study; None of other objects, and where an older version received it."""

    @property
    def version(self) -> str:
        """A name for the bytes of an image that took the place of those that came first; empty for the first."""
        return PurePath(self.path).stem.removeprefix(self.sop_instance_uid).removeprefix("-")


@dataclass(frozen=True, slots=True)
class StudyAttributes:
    """Study-level attributes as the first instance stated them. Never logged."""

    patient_id: str = ""
    issuer_of_patient_id: str = ""
    accession_number: str = ""
    study_date: str = ""
    study_description: str = ""
