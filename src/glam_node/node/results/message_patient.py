"""Patient and study of a source image as values of HL7 fields, unchanged except for their form."""

from pydicom.dataset import Dataset
from pydicom.valuerep import PersonName

from glam_node.node.hl7.text import Encoded, components, repetitions
from glam_node.node.results import codes
from glam_node.node.results.element_values import items_of, text_value
from glam_node.node.results.sources import patient_name, source_header
from glam_node.node.results.time_zone import stated_zone

_GROUPS = ("A", "I", "P")
"""Alphabetic, ideographic and phonetic form of a name (HL7 table 4000), in the order of DICOM's component groups."""


def patient_values(source: Dataset) -> dict[str, object]:
    """Return ID, issuer, name, birth date and sex, as the image states them."""
    header = source_header(source)
    identity, issuer = str(header.PatientID), text_value(source, "IssuerOfPatientID")
    authority = components(issuer, *_universal_entity(source), separator="&")
    return {
        "id": identity,
        "issuer": issuer,
        "identifier": components(identity, "", "", authority),
        "name": _name(patient_name(source)),
        "birth_date": str(header.PatientBirthDate),
        "sex": str(header.PatientSex),
    }


def study_values(source: Dataset) -> dict[str, object]:
    """Return UID, Accession Number, Study ID, description, procedure and time of the study."""
    header = source_header(source)
    return {
        "uid": str(header.StudyInstanceUID),
        "accession_number": str(header.AccessionNumber),
        "id": str(header.StudyID),
        "description": text_value(source, "StudyDescription"),
        "procedure": _procedure(source),
        "time": _moment(str(header.StudyDate), str(header.StudyTime), source),
    }


def _universal_entity(source: Dataset) -> tuple[str, str]:
    """Return the universal ID of the assigning authority and its type, such as ISO; empty if they are not stated."""
    for item in items_of(source, "IssuerOfPatientIDQualifiersSequence"):
        return text_value(item, "UniversalEntityID"), text_value(item, "UniversalEntityIDType")
    return "", ""


def _name(name: object) -> Encoded:
    """Return a name as XPN, with one repetition for each form; suffix and prefix have other places than in DICOM."""
    groups = PersonName(str(name)).components
    forms = [(group, form) for group, form in zip(groups, _GROUPS, strict=False) if group.strip("^ ")]
    return repetitions(*(_form(group, form if len(forms) > 1 else "") for group, form in forms))


def _form(group: str, form: str) -> Encoded:
    family, given, middle, prefix, suffix = (one.strip() for one in (*group.split("^"), "", "", "", "", "")[:5])
    return components(family, given, middle, suffix, prefix, "", "", form)


def _procedure(source: Dataset) -> Encoded:
    """Return the code of the procedure as CE, or the description of the study in the scheme of the node."""
    for item in items_of(source, "ProcedureCodeSequence"):
        if code := text_value(item, "CodeValue"):
            return components(code, text_value(item, "CodeMeaning"), text_value(item, "CodingSchemeDesignator"))
    description = text_value(source, "StudyDescription") or codes.MAMMOGRAPHY.meaning
    return components(codes.MAMMOGRAPHY.value, description, codes.MAMMOGRAPHY.scheme_designator)


def _moment(date: str, time: str, source: Dataset) -> str:
    """Return a date and time as TS, with the time zone if the image states it; empty without a date."""
    whole = time.partition(".")[0]
    if not date or not whole:
        return date
    zone = text_value(source, "TimezoneOffsetFromUTC").replace(":", "") if stated_zone(source) is not None else ""
    return f"{date}{whole}{zone}"
