"""Results for a patient whom the hospital corrected after the images were made."""

import warnings
from collections.abc import Iterable

from pydicom.dataset import Dataset

from glam_node.inference.character_set import UTF_8
from glam_node.node.domain.patient_change import CorrectedPatient
from glam_node.node.results.sources import refuse_different_people


def name_patient(sources: Iterable[Dataset], patient: CorrectedPatient | None) -> None:
    """Replace the patient in the headers of source images, from which results copy it; None leaves it as it is.

    Raises:
        PermanentError: The images belong to two people or two studies, which could no longer be seen afterwards.
    """
    if patient is None:
        return
    headers = list(sources)
    refuse_different_people(headers)
    for source in headers:
        with warnings.catch_warnings():
            # pydicom warns with the offending value, which may be a patient's.
            warnings.simplefilter("ignore")
            _name_patient(source, patient)


def _name_patient(source: Dataset, patient: CorrectedPatient) -> None:
    if not patient.name.isascii():
        source.decode()
        source.SpecificCharacterSet = UTF_8
    if patient.patient_id != str(source.get("PatientID", "")):
        _set_number(source, patient)
    if patient.name:
        source.PatientName = patient.name
    if patient.birth_date:
        source.PatientBirthDate = patient.birth_date
        if "PatientAge" in source:
            del source.PatientAge
    if patient.sex:
        source.PatientSex = patient.sex


def _set_number(source: Dataset, patient: CorrectedPatient) -> None:
    """Set Patient ID, and its issuer where the image states one."""
    source.PatientID = patient.patient_id
    if "IssuerOfPatientIDQualifiersSequence" in source:
        del source.IssuerOfPatientIDQualifiersSequence
        source.IssuerOfPatientID = patient.issuer_of_patient_id
    elif "IssuerOfPatientID" in source:
        source.IssuerOfPatientID = patient.issuer_of_patient_id
