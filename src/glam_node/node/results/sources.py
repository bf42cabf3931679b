"""Headers of source images, made such that results can be written from them and still say what the source says.

highdicom copies patient and study from the source, raises where a value is missing or illegal, and copies values that
validators refuse. What identifies patient and study is kept as it is, however long; all else is kept where it is legal.
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
from glam_node.node.domain.one_person import difference_among
from glam_node.node.errors import PermanentError

# PS3.3 C.7.1.1 and C.7.2.1, type 2: there, if need be empty
_IDENTIFYING = ("PatientID", "AccessionNumber", "StudyID")
# PS3.3 C.7.1.1, C.7.2.1 and C.7.2.2, type 3; C.7.5.1 of the acquiring equipment
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

# PS3.3 C.12.1.1.2
_CHARACTER_SETS = frozenset(
    [f"{prefix} {number}" for prefix in ("ISO_IR", "ISO 2022 IR") for number in (13, 100, 101, 109, 110, 126, 127)]
    + [f"{prefix} {number}" for prefix in ("ISO_IR", "ISO 2022 IR") for number in (138, 144, 148, 166, 203)]
    + [f"ISO 2022 IR {number}" for number in (6, 58, 87, 149, 159)]
    + ["ISO_IR 192", "GB18030", "GBK"]
)
_UTF_8 = "ISO_IR 192"


def refuse_different_people(sources: Iterable[Dataset]) -> None:
    """Raise PermanentError unless all images are of one person and one study: no result names another's.

    This is the last barrier, at the headers that results copy the patient from. Studies are judged by the same decision
    before they are analysed.
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
    """What results need of `source`, without pixels; text is decoded, Specific Character Set is left out.

    Patient's Name is empty: highdicom prints names that it finds unlikely. `patient_name` has it.

    Raises PermanentError when a UID is missing without which nothing can refer to the image.
    """
    header = Dataset()
    # highdicom refuses classes that it does not know or that demand what projections lack; `name_classes` corrects it.
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
    """Give every reference to a source image the SOP class of that image, where the class is legal."""
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
    """Return what is known of an image that cannot be read: these elements, and patient and study of another image."""
    known = Dataset()
    for keyword in (*_IDENTIFYING, *_REPAIRED, *_OPTIONAL, *_OF_THE_STUDY):
        if keyword in other:
            known[keyword] = other[keyword]
    for keyword, value in elements.items():
        setattr(known, keyword, value)
    return known


def patient_name(source: Dataset) -> Any:
    """Patient's Name as it is in the source, if need be empty."""
    return value_of(source, "PatientName") or ""


def character_set(source: Dataset, *texts: str) -> str | list[str] | None:
    """The source's Specific Character Set where legal and enough for `texts`, else UTF-8; None for the default."""
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
    """PS3.3 C.7.1.1: where identity is removed, a method in words or in codes must be there."""
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
    """The code without what belongs to it optionally; None where it is none (PS3.3 Table 8.8-1)."""
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
    """Return the value of an element; None where there is none or it cannot be read."""
    try:
        with warnings.catch_warnings():
            # pydicom warns with the offending value, which may be a patient's.
            warnings.simplefilter("ignore")
            return source.get(keyword)
    except Exception:  # pydicom converts on access and raises whatever its converters raise
        return None


def items_of(source: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a sequence; none where it is empty or no sequence."""
    items = value_of(source, keyword)
    return [item for item in items if isinstance(item, Dataset)] if isinstance(items, Iterable) else []


def text_values(source: Dataset, keyword: str) -> list[str]:
    """Return the values of an element as text without padding, whatever they are; none where it cannot be read."""
    value = value_of(source, keyword)
    if value is None or value == "":
        return []
    several = isinstance(value, Iterable) and not isinstance(value, str | bytes)
    return [str(item).strip(" \0") for item in (value if several else [value])]


def text_value(source: Dataset, keyword: str) -> str:
    """Return the one value of an element as text without padding; empty where it has none or several."""
    values = text_values(source, keyword)
    return values[0] if len(values) == 1 else ""


def finite_numbers(source: Dataset, keyword: str, count: int) -> tuple[float, ...]:
    """Return the values of an element as numbers; none unless it has exactly `count` values, all of them finite."""
    try:
        numbers = tuple(float(text) for text in text_values(source, keyword))
    except ValueError:
        return ()
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else ()


def _legal(source: Dataset, keyword: str) -> Any:
    """The value when every part of it is legal for its VR (PS3.5 6.2), else None."""
    value = value_of(source, keyword)
    if value is None or value == "":
        return None
    try:
        vr = source[keyword].VR
        for item in value if isinstance(value, list | tuple) or hasattr(value, "append") else [value]:
            validate_value(vr, str(item) if vr != "PN" else item, RAISE)
    except Exception:  # ValueError of the validator, and what lazy conversion raises
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
# PS3.3 C.7.6.1
_OF_THE_IMAGE: Mapping[str, Callable[[str], str]] = {"ContentDate": _date, "ContentTime": _time}
