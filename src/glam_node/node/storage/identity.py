"""Patient identity in stored instances, for authorized users only; never for logs or tables."""

from dataclasses import dataclass, fields
from pathlib import Path

from glam_node.node.storage.header import UnreadableDataSet, read_stored_header


@dataclass(frozen=True, slots=True)
class Identity:
    """Patient and study attributes as the header states them; an absent one is empty."""

    patient_name: str = ""
    patient_id: str = ""
    patient_birth_date: str = ""
    patient_sex: str = ""
    accession_number: str = ""
    study_date: str = ""


_KEYWORDS = {
    "patient_name": "PatientName",
    "patient_id": "PatientID",
    "patient_birth_date": "PatientBirthDate",
    "patient_sex": "PatientSex",
    "accession_number": "AccessionNumber",
    "study_date": "StudyDate",
}


def read_identity(path: Path) -> Identity:
    """Read the identity of the patient from an instance. Raises OSError if the file cannot be read."""
    try:
        header = read_stored_header(path)
        values = {one.name: str(header.get(_KEYWORDS[one.name], "") or "") for one in fields(Identity)}
    except (UnreadableDataSet, ValueError, LookupError, NotImplementedError) as error:
        raise OSError(f"{path.name} is no longer a DICOM file") from error
    return Identity(**values)
