"""Headers of source images, corrected so that results can be written from them and still state what the source states.

highdicom copies patient and study attributes from the source, raises errors for missing and illegal values, and copies
values that validators reject. Attributes that identify patient and study are kept unchanged, whatever their length; all
others are kept only if they are legal.
"""

import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydicom.config import RAISE
from pydicom.dataset import Dataset
from pydicom.uid import UID, DigitalMammographyXRayImageStorageForPresentation
from pydicom.valuerep import DA, TM, validate_value

from glam_node.inference.reading import imager_pixel_spacing
from glam_node.node.domain.identity import identity_of
from glam_node.node.domain.identity_comparison import difference_among
from glam_node.node.errors import PermanentError

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
_OF_THE_STUDY = ("PatientName", "ReferringPhysicianName", "SpecificCharacterSet", "TimezoneOffsetFromUTC")
_NEEDED_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")

# Defined Terms of Specific Character Set (PS3.3 C.12.1.1.2)
_CHARACTER_SETS = frozenset(
    [f"{prefix} {number}" for prefix in ("ISO_IR", "ISO 2022 IR") for number in (13, 100, 101, 109, 110, 126, 127)]
    + [f"{prefix} {number}" for prefix in ("ISO_IR", "ISO 2022 IR") for number in (138, 144, 148, 166, 203)]
    + [f"ISO 2022 IR {number}" for number in (6, 58, 87, 149, 159)]
    + ["ISO_IR 192", "GB18030", "GBK"]
)
_UTF_8 = "ISO_IR 192"


def refuse_different_people(sources: Iterable[Dataset]) -> None:
    """Raise an error unless all images belong to one person and one study, so that no result names another person.

    Studies pass the same check before they are analysed. This is the last one, of the headers that results copy.

    Raises:
        PermanentError: The images belong to two people or two studies.
    """
    with warnings.catch_warnings():
        # pydicom warns with the offending value, which may be a patient's.
        warnings.simplefilter("ignore")
        apart = difference_among([identity_of(source, "") for source in sources])
    if apart is not None:
        raise PermanentError(
            f"{apart.rule}: the source images do not belong together: {apart.reason}. No result is written, since it "
            "would name one person for the images of another. Correct the study in the archive and send it again."
        )


def source_header(source: Dataset) -> Dataset:
    """Return the attributes of a source image that results need, without pixels.

    Text is decoded, so Specific Character Set is left out. Patient's Name is empty, because highdicom prints names that
    it finds unlikely; `patient_name` returns the name.

    Raises:
        PermanentError: The image lacks a UID, so that nothing can refer to it.
    """
    header = Dataset()
    # highdicom rejects classes that it does not know, or that require attributes which projections lack. `name_classes`
    # corrects the class.
    header.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    for keyword in _NEEDED_UIDS:
        uid = source.get(keyword)
        if not uid:
            raise PermanentError(f"A source image has no {keyword}: no result can refer to it.")
        setattr(header, keyword, uid)
    for keyword in _IDENTIFYING:
        setattr(header, keyword, value_of(source, keyword) or "")
    header.PatientName = ""
    for keyword, legal in _REPAIRED.items():
        setattr(header, keyword, legal(str(value_of(source, keyword) or "")))
    header.ReferringPhysicianName = _legal(source, "ReferringPhysicianName") or ""
    for keyword in _OPTIONAL:
        value = _legal(source, keyword)
        if value:
            setattr(header, keyword, value)
    _copy_deidentification(source, header)
    _copy_image(source, header)
    return header


def name_classes(result: Dataset, sources: Iterable[Dataset]) -> None:
    """Set the SOP class in every reference to a source image to the class of that image, if it is legal."""
    stated = {text_value(source, "SOPInstanceUID"): UID(text_value(source, "SOPClassUID")) for source in sources}
    other = {
        uid: sop_class
        for uid, sop_class in stated.items()
        if sop_class.is_valid and sop_class != DigitalMammographyXRayImageStorageForPresentation
    }
    if other:
        _name_classes(result, other)


def _name_classes(dataset: Dataset, classes: Mapping[str, str]) -> None:
    sop_class = classes.get(str(dataset.get("ReferencedSOPInstanceUID", "")))
    if sop_class:
        dataset.ReferencedSOPClassUID = sop_class
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                _name_classes(item, classes)


def stand_in(other: Dataset, **elements: str) -> Dataset:
    """Return a header for an image that cannot be read: the given elements, and patient and study of another image."""
    known = Dataset()
    for keyword in (*_IDENTIFYING, *_REPAIRED, *_OPTIONAL, *_OF_THE_STUDY):
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

    None stands for the default character set.
    """
    terms = text_values(source, "SpecificCharacterSet")
    if not all(text.isascii() for text in texts):
        return _UTF_8
    if terms in ([], [""], ["ISO_IR 6"]):
        return None
    first_may_be_empty = terms[1:] if len(terms) > 1 and not terms[0] else terms
    if not set(first_may_be_empty) <= _CHARACTER_SETS:
        return _UTF_8
    return terms if len(terms) > 1 else terms[0]


def _copy_deidentification(source: Dataset, header: Dataset) -> None:
    """Copy the attributes of de-identification, with the method that they require (PS3.3 C.7.1.1)."""
    removed = text_value(source, "PatientIdentityRemoved").upper()
    if removed not in ("YES", "NO"):
        return
    header.PatientIdentityRemoved = removed
    method = _legal(source, "DeidentificationMethod")
    if method:
        header.DeidentificationMethod = method
    coded = [code for item in items_of(source, "DeidentificationMethodCodeSequence") if (code := _code(item))]
    if coded:
        header.DeidentificationMethodCodeSequence = coded
    if removed == "YES" and not (method or coded):
        header.DeidentificationMethod = "Not stated by the source image"


def _code(item: Dataset) -> Dataset | None:
    """Return the code without its optional attributes, or None if it is incomplete (PS3.3 Table 8.8-1)."""
    values = {keyword: _legal(item, keyword) for keyword in ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")}
    if not all(values.values()):
        return None
    code = Dataset()
    for keyword, value in values.items():
        setattr(code, keyword, value)
    return code


def _copy_image(source: Dataset, header: Dataset) -> None:
    header.Modality = "MG"
    for keyword in ("Rows", "Columns"):
        size = value_of(source, keyword)
        if isinstance(size, int) and size > 0:
            setattr(header, keyword, size)
    for keyword, legal in _OF_THE_IMAGE.items():
        moment = legal(str(value_of(source, keyword) or ""))
        if moment:
            setattr(header, keyword, moment)
    orientation = text_values(source, "PatientOrientation")
    if len(orientation) == 2 and all(orientation) and _legal(source, "PatientOrientation"):
        header.PatientOrientation = orientation
    spacing = imager_pixel_spacing(source)
    if spacing:
        header.ImagerPixelSpacing = list(spacing)


def value_of(source: Dataset, keyword: str) -> Any:
    """Return the value of an element, or None if it is absent or cannot be read."""
    try:
        with warnings.catch_warnings():
            # pydicom warns with the offending value, which may be a patient's.
            warnings.simplefilter("ignore")
            return source.get(keyword)
    except Exception:  # pydicom converts on access, and its converters raise errors of many kinds
        return None


def items_of(source: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a sequence, or none if it is empty or not a sequence."""
    items = value_of(source, keyword)
    return [item for item in items if isinstance(item, Dataset)] if isinstance(items, Iterable) else []


def text_values(source: Dataset, keyword: str) -> list[str]:
    """Return the values of an element of any VR as text without padding, or none if it cannot be read."""
    value = value_of(source, keyword)
    if value is None or value == "":
        return []
    several = isinstance(value, Iterable) and not isinstance(value, str | bytes)
    return [str(item).strip(" \0") for item in (value if several else [value])]


def text_value(source: Dataset, keyword: str) -> str:
    """Return the only value of an element as text without padding, or an empty text if it has none or several."""
    values = text_values(source, keyword)
    return values[0] if len(values) == 1 else ""


def finite_numbers(source: Dataset, keyword: str, count: int) -> tuple[float, ...]:
    """Return the values of an element as numbers, or none unless it has exactly `count` values that are all finite."""
    try:
        numbers = tuple(float(text) for text in text_values(source, keyword))
    except ValueError:
        return ()
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else ()


def _legal(source: Dataset, keyword: str) -> Any:
    """Return the value of an element if all of it is legal for its VR (PS3.5 6.2), else None."""
    value = value_of(source, keyword)
    if value is None or value == "":
        return None
    try:
        vr = source[keyword].VR
        for item in value if isinstance(value, list | tuple) or hasattr(value, "append") else [value]:
            validate_value(vr, str(item) if vr != "PN" else item, RAISE)
    except Exception:  # the validator raises ValueError, and lazy conversion errors of many kinds
        return None
    return value


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
_OF_THE_IMAGE: Mapping[str, Callable[[str], str]] = {"ContentDate": _date, "ContentTime": _time}
