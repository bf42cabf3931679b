"""Headers of source images, with the corrections that are necessary to write results from them with highdicom.

highdicom copies patient and study attributes from the source, raises errors for missing and illegal values, and copies
values that validators reject. Attributes that identify patient and study are kept unchanged, whatever their length; all
others are kept only if they are legal.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, DigitalMammographyXRayImageStorageForPresentation
from pydicom.valuerep import DA, TM

from glam_node.inference.character_set import CHARACTER_SETS, UTF_8
from glam_node.inference.reading import imager_pixel_spacing
from glam_node.node.domain.identity import identity_of
from glam_node.node.domain.identity_comparison import difference_among
from glam_node.node.errors import PermanentError
from glam_node.node.results.element_values import items_of, legal_value, text_value, text_values, value_of

# Attributes of type 2, which must be present but may be empty (PS3.3 C.7.1.1 and C.7.2.1)
_IDENTIFYING = ("PatientID", "AccessionNumber", "StudyID")
# Attributes of type 3 (PS3.3 C.7.1.1, C.7.2.1 and C.7.2.2), and of the acquiring equipment (C.7.5.1)
_OPTIONAL = (
    "IssuerOfPatientID",
    "OtherPatientIDs",
    "PatientBirthTime",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "EthnicGroup",
    "PatientComments",
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialSubjectID",
    "StudyDescription",
    "Manufacturer",
    "ManufacturerModelName",
    "SoftwareVersions",
    "DeviceSerialNumber",
    "InstitutionName",
    "StationName",
)
_STUDY_ELEMENTS = ("PatientName", "ReferringPhysicianName", "SpecificCharacterSet", "TimezoneOffsetFromUTC")
_NEEDED_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")

_AXES = {letter: axis for axis, pair in enumerate(("AP", "RL", "HF")) for letter in pair}


def refuse_different_people(sources: Iterable[Dataset]) -> None:
    """Raise an error unless all images belong to one person and one study, so that no result names another person.

    Studies pass the same check before they are analysed. This last check uses the headers that results copy.

    Raises:
        PermanentError: The images belong to two people or two studies.
    """
    with warnings.catch_warnings():
        # pydicom warns with the offending value, which may be a patient's.
        warnings.simplefilter("ignore")
        apart = difference_among([identity_of(source, "") for source in sources])
    if apart is not None:
        raise PermanentError(
            f"{apart.rule}: the source images do not belong together: {apart.reason}. No result is written, since a "
            "result would name one person for images of another. Correct the study in the archive and send it again."
        )


def source_header(source: Dataset) -> Dataset:
    """Return the attributes of a source image that results need, without pixels.

    Text is decoded, so Specific Character Set is left out. Patient's Name is empty, because highdicom prints names that
    it finds unlikely; `patient_name` returns the name.

    Raises:
        PermanentError: The image lacks a UID, so that nothing can refer to it.
    """
    header = Dataset()
    # highdicom rejects classes that it does not know, or that require attributes which projections lack.
    # `set_referenced_classes` corrects the class.
    header.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    for keyword in _NEEDED_UIDS:
        uid = source.get(keyword)
        if not uid:
            raise PermanentError(f"A source image has no {keyword}: no result can refer to it.")
        _set(header, keyword, uid)
    for keyword in _IDENTIFYING:
        _set(header, keyword, value_of(source, keyword) or "")
    _set(header, "PatientName", "")
    for keyword, legal in _REPAIRED.items():
        _set(header, keyword, legal(str(value_of(source, keyword) or "")))
    _set(header, "ReferringPhysicianName", legal_value(source, "ReferringPhysicianName") or "")
    for keyword in _OPTIONAL:
        value = legal_value(source, keyword)
        if value:
            _set(header, keyword, value)
    _copy_deidentification(source, header)
    _copy_image(source, header)
    return header


def _set(header: Dataset, keyword: str, value: Any) -> None:
    """Set an element that the header lacks. This is faster than an assignment, and each result starts with a header."""
    tag, vr = _described(keyword)
    header.add(DataElement(tag, vr, value))


@cache
def _described(keyword: str) -> tuple[BaseTag, str]:
    """Return tag and VR of an element."""
    tag = Tag(keyword)
    return tag, dictionary_VR(tag)


def set_referenced_classes(result: Dataset, sources: Iterable[Dataset]) -> None:
    """Set the SOP class in every reference to a source image to the class of that image, if it is legal."""
    stated = {text_value(source, "SOPInstanceUID"): UID(text_value(source, "SOPClassUID")) for source in sources}
    other = {
        uid: sop_class
        for uid, sop_class in stated.items()
        if sop_class.is_valid and sop_class != DigitalMammographyXRayImageStorageForPresentation
    }
    if other:
        _set_referenced_classes(result, other)


def _set_referenced_classes(dataset: Dataset, classes: Mapping[str, str]) -> None:
    sop_class = classes.get(str(dataset.get("ReferencedSOPInstanceUID", "")))
    if sop_class:
        dataset.ReferencedSOPClassUID = sop_class
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                _set_referenced_classes(item, classes)


def stand_in(other: Dataset, **elements: str) -> Dataset:
    """Return a header for an image that cannot be read: the given elements, and patient and study of another image."""
    known = Dataset()
    for keyword in (*_IDENTIFYING, *_REPAIRED, *_OPTIONAL, *_STUDY_ELEMENTS):
        if keyword in other:
            known[keyword] = other[keyword]
    for keyword, value in elements.items():
        setattr(known, keyword, value)
    return known


def patient_name(source: Dataset) -> Any:
    """Return Patient's Name as the source states it; it may be empty."""
    return value_of(source, "PatientName") or ""


def character_set(source: Dataset, *texts: str) -> str | list[str] | None:
    """Return the Specific Character Set of a result: the source's, or UTF-8 if that is illegal or a text is not ASCII.

    None means the default character set.
    """
    terms = text_values(source, "SpecificCharacterSet")
    if not all(text.isascii() for text in texts):
        return UTF_8
    if terms in ([], [""], ["ISO_IR 6"]):
        return None
    first_may_be_empty = terms[1:] if len(terms) > 1 and not terms[0] else terms
    if not set(first_may_be_empty) <= CHARACTER_SETS:
        return UTF_8
    return terms if len(terms) > 1 else terms[0]


def _copy_deidentification(source: Dataset, header: Dataset) -> None:
    """Copy the attributes of de-identification, with the method that they require (PS3.3 C.7.1.1)."""
    removed = text_value(source, "PatientIdentityRemoved").upper()
    if removed not in ("YES", "NO"):
        return
    header.PatientIdentityRemoved = removed
    method = legal_value(source, "DeidentificationMethod")
    if method:
        header.DeidentificationMethod = method
    coded = [code for item in items_of(source, "DeidentificationMethodCodeSequence") if (code := _code(item))]
    if coded:
        header.DeidentificationMethodCodeSequence = coded
    if removed == "YES" and not (method or coded):
        header.DeidentificationMethod = "Not stated by the source image"


def _code(item: Dataset) -> Dataset | None:
    """Return the code without its optional attributes, or None if it is incomplete (PS3.3 Table 8.8-1)."""
    values = {keyword: legal_value(item, keyword) for keyword in ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")}
    if not all(values.values()):
        return None
    code = Dataset()
    for keyword, value in values.items():
        setattr(code, keyword, value)
    return code


def _copy_image(source: Dataset, header: Dataset) -> None:
    _set(header, "Modality", "MG")
    for keyword in ("Rows", "Columns"):
        size = value_of(source, keyword)
        if isinstance(size, int) and size > 0:
            _set(header, keyword, size)
    for keyword, legal in _REPAIRED_OF_IMAGE.items():
        moment = legal(str(value_of(source, keyword) or ""))
        if moment:
            _set(header, keyword, moment)
    orientation = text_values(source, "PatientOrientation")
    if _is_patient_orientation(orientation):
        _set(header, "PatientOrientation", orientation)
    spacing = imager_pixel_spacing(source)
    if spacing:
        _set(header, "ImagerPixelSpacing", list(spacing))


def _is_patient_orientation(directions: list[str]) -> bool:
    """Return whether these are two directions that are not along the same axis, such as A and FR (PS3.3 C.7.6.1.1.1).

    Each direction is one to three letters, with at most one of each pair of opposites.
    """
    axes = [[_AXES.get(letter) for letter in direction] for direction in directions]
    are_directions = all(axis and None not in axis and len(set(axis)) == len(axis) for axis in axes)
    return len(axes) == 2 and are_directions and axes[0][0] != axes[1][0]


def _sex(value: str) -> str:
    return value.strip().upper() if value.strip().upper() in ("M", "F", "O") else ""


def _date(value: str) -> str:
    plain = value.strip().replace(".", "")
    return plain if _accepted(DA, plain) else ""


def _time(value: str) -> str:
    whole, _, fraction = value.strip().replace(":", "").partition(".")
    plain = f"{whole}.{fraction[:6]}" if fraction else whole
    return plain if _accepted(TM, plain) else ""


def _accepted(vr: Callable[[str], Any], value: str) -> bool:
    try:
        return bool(value) and vr(value) is not None
    except ValueError:
        return False


_REPAIRED: Mapping[str, Callable[[str], str]] = {
    "PatientBirthDate": _date,
    "PatientSex": _sex,
    "StudyDate": _date,
    "StudyTime": _time,
}
# Attributes of the image (PS3.3 C.7.6.1)
_REPAIRED_OF_IMAGE: Mapping[str, Callable[[str], str]] = {"ContentDate": _date, "ContentTime": _time}
