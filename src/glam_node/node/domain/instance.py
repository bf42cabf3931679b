"""One received SOP Instance."""

from dataclasses import dataclass
from datetime import datetime

from glam_node.node.domain.identity import ImageIdentity


@dataclass(frozen=True, slots=True)
class ImageAttributes:
    """What assembly and eligibility need to know of an image; empty strings and zeros where it does not say."""

    modality: str = ""
    presentation_intent_type: str = ""
    """FOR PRESENTATION or FOR PROCESSING (0008,0068)."""
    image_laterality: str = ""
    """L, R or B."""
    view_position: str = ""
    """CC, MLO or another abbreviation of PS3.16 CID 4014."""
    view_modifiers: tuple[str, ...] = ()
    """magnification, spot_compression, implant_displaced, ... (PS3.16 CID 4015)."""
    image_type: tuple[str, ...] = ()
    rows: int = 0
    columns: int = 0
    number_of_frames: int = 1
    specimen: bool = False
    stereotactic: bool = False
    breast_implant_present: bool = False
    contradiction: str = ""
    """What the image says of itself in two ways that cannot both be true; empty when there is nothing of the kind."""
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


@dataclass(frozen=True, slots=True)
class StudyAttributes:
    """Study-level attributes as the first instance stated them. Never logged."""

    patient_id: str = ""
    issuer_of_patient_id: str = ""
    accession_number: str = ""
    study_date: str = ""
    study_description: str = ""
