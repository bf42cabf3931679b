"""Reads from a header the facts that decide the kind of an image; pydicom only, so that the receiving node may ask."""

from collections.abc import Iterable
from typing import Any

from pydicom.dataset import Dataset

from glam_node.kinds.codes import MODIFIER_OF_MEANING, NAME_OF_MODIFIER, NAME_OF_VIEW, SPECIMEN, VIEW_OF_MEANING
from glam_node.kinds.descriptions import described_kinds
from glam_node.kinds.facts import DRAWN_BY, DRAWN_MODEL, ImageFacts

FOR_PRESENTATION = "FOR PRESENTATION"
FOR_PROCESSING = "FOR PROCESSING"

# PS3.4 Table B.5-1: the classes that state the intent by themselves
_INTENT_OF_SOP_CLASS = {
    "1.2.840.10008.5.1.4.1.1.1.2": FOR_PRESENTATION,
    "1.2.840.10008.5.1.4.1.1.1.2.1": FOR_PROCESSING,
}

# Elements that only slices, layers and volumes of a tomosynthesis have, and images that were computed from them
_TOMOSYNTHESIS_ELEMENTS = (
    "TomoClass",
    "TomoType",
    "TomoLayerHeight",
    "NumberOfTomosynthesisSourceImages",
    "VolumetricProperties",
    "VolumeBasedCalculationTechnique",
    "ConcatenationUID",
    "SOPInstanceUIDOfConcatenationSource",
    "XRay3DAcquisitionSequence",
    "XRay3DReconstructionSequence",
)
# Elements of the Contrast/Bolus module (PS3.3 C.7.6.4) that say that there was a contrast agent
_CONTRAST_ELEMENTS = (
    "ContrastBolusAgent",
    "ContrastBolusAgentSequence",
    "ContrastBolusIngredient",
    "ContrastBolusVolume",
    "ContrastBolusTotalDose",
)
_DESCRIPTIONS = (
    "SeriesDescription",
    "AcquisitionDeviceProcessingDescription",
    "DerivationDescription",
    "PaddleDescription",
)

# SNOMED CT and retired SNOMED-RT values of the breast, both breasts, the right and the left one (PS3.3 C.8.11.7)
_BREAST_REGIONS = frozenset(
    {"76752008", "T-04000", "63762007", "T-04080", "73056007", "T-04020", "80248007", "T-04030"}
)
_PHANTOM_PARTS = frozenset({"PHANTOM", "QC", "TEST", "CALIBRATION"})
# PS3.16 Annex L, defined terms of Body Part Examined for what is taken with X-rays; sites also write words of their own
# fmt: off
_OTHER_BODY_PARTS = frozenset({
    "ABDOMEN", "ANKLE", "ARM", "BRAIN", "CHEST", "CLAVICLE", "COCCYX", "CSPINE", "ELBOW", "EXTREMITY", "FEMUR", "FOOT",
    "HAND", "HEAD", "HEART", "HIP", "HUMERUS", "JAW", "KNEE", "LEG", "LIVER", "LSPINE", "LUNG", "NECK", "PELVIS",
    "SHOULDER", "SKULL", "SPINE", "SSPINE", "THYROID", "TSPINE", "WRIST",
})
# fmt: on

_SPECIMENS = ("127457009", "G-8310")
_REGION_MODIFIERS = "AnatomicRegionModifierSequence"
_NOTHING = frozenset({"", "NONE", "NO", "N", "NIL", "NULL", "N/A", "NA", "NOT APPLICABLE", "WITHOUT"})
_LATERALITIES = frozenset({"L", "R", "B"})
# Contact views of all vendors state 1.0 to 1.1, magnification stands 1.5 to 2.0.
_LEAST_MAGNIFICATION = 1.3
# PS3.3 Table C.8-74a, in all their variants
_STEREOTACTIC_WORDS = ("STEREO", "SCOUT", "PREFIRE", "POSTFIRE", "BIOPSY", "POSTMARKER")


def describe_view(dataset: Dataset) -> ImageFacts:
    """Return the statements of `dataset` about its view and kind; never raises, whatever the data set holds.

    An optional element that is malformed counts as absent (PS3.3 C.8.11.7).
    """
    image_type = tuple(value.upper() for value in _texts(dataset, "ImageType"))
    view_codes = _items(dataset, "ViewCodeSequence")
    coded_view = _coded_view(view_codes)
    view_text = text_of(dataset, "ViewPosition").upper()
    lateralities = _lateralities(dataset)
    return ImageFacts(
        modality=text_of(dataset, "Modality").upper(),
        presentation_intent_type=_presentation_intent_type(dataset),
        image_laterality=next(iter(lateralities.values()), ""),
        view_position=coded_view or view_text or _view_by_meaning(view_codes),
        view_modifiers=_view_modifiers(dataset, view_codes),
        image_type=image_type,
        rows=_integer(dataset, "Rows", 0),
        columns=_integer(dataset, "Columns", 0),
        number_of_frames=_integer(dataset, "NumberOfFrames", 1),
        specimen=_is_specimen(dataset, image_type, coded_view),
        stereotactic=_is_stereotactic(dataset, image_type),
        breast_implant_present=_says_yes(dataset, "BreastImplantPresent"),
        contradiction="; ".join(_contradictions(dataset, lateralities, coded_view, view_text)),
        contrast_agent=_has_contrast_agent(dataset),
        partial_view=_says_yes(dataset, "PartialView") or bool(_items(dataset, "PartialViewCodeSequence")),
        phantom=_is_phantom(dataset),
        other_region=_other_region(dataset),
        tomosynthesis=any(map(_has_value, _values_of(dataset, _TOMOSYNTHESIS_ELEMENTS))),
        drawn=text_of(dataset, "Manufacturer") == DRAWN_BY or text_of(dataset, "ManufacturerModelName") == DRAWN_MODEL,
        described=described_kinds(text for keyword in _DESCRIPTIONS for text in _texts(dataset, keyword)),
    )


def _values(dataset: Dataset, keyword: str) -> list[Any]:
    try:
        value = dataset.get(keyword)
        return list(value) if isinstance(value, Iterable) and not isinstance(value, str | bytes) else [value]
    except Exception:  # pydicom converts on access and raises whatever its converters raise
        return []


def _texts(dataset: Dataset, keyword: str) -> list[str]:
    return [str(value).strip() for value in _values(dataset, keyword) if value is not None]


def text_of(dataset: Dataset, keyword: str) -> str:
    """Return the first value of an element as text; empty when it is missing or malformed."""
    return next(iter(_texts(dataset, keyword)), "")


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    return [item for item in _values(dataset, keyword) if isinstance(item, Dataset)]


def _number(dataset: Dataset, keyword: str) -> float | None:
    try:
        return float(text_of(dataset, keyword))
    except ValueError:
        return None


def _integer(dataset: Dataset, keyword: str, default: int) -> int:
    number = _number(dataset, keyword)
    return default if number is None or not number.is_integer() else int(number)


def _presentation_intent_type(dataset: Dataset) -> str:
    stated = text_of(dataset, "PresentationIntentType").upper()
    return stated or _INTENT_OF_SOP_CLASS.get(text_of(dataset, "SOPClassUID"), "")


def _code_value(item: Dataset) -> str:
    return text_of(item, "CodeValue") or text_of(item, "LongCodeValue")


def _coded_view(view_codes: list[Dataset]) -> str:
    return next((NAME_OF_VIEW[value] for item in view_codes if (value := _code_value(item)) in NAME_OF_VIEW), "")


def _by_meaning(item: Dataset, known: dict[str, str]) -> str:
    meaning = "".join(letter for letter in text_of(item, "CodeMeaning").casefold() if letter.isalnum())
    return known.get(meaning, "")


def _view_by_meaning(view_codes: list[Dataset]) -> str:
    return next((view for item in view_codes if (view := _by_meaning(item, VIEW_OF_MEANING))), "")


def _view_modifiers(dataset: Dataset, view_codes: list[Dataset]) -> tuple[str, ...]:
    """The modifiers stand inside the view code's item (PS3.3 C.8.11.7), in old images beside it."""
    names = {
        _modifier(item) for holder in [*view_codes, dataset] for item in _items(holder, "ViewModifierCodeSequence")
    }
    if (_number(dataset, "EstimatedRadiographicMagnificationFactor") or 0.0) >= _LEAST_MAGNIFICATION:
        names.add("magnification")
    return tuple(sorted(names - {""}))


def _modifier(item: Dataset) -> str:
    value = _code_value(item)
    known = NAME_OF_MODIFIER.get(value) or _by_meaning(item, MODIFIER_OF_MEANING)
    if known or not value:
        return known or ("unknown" if text_of(item, "CodeMeaning") else "")
    return f"{text_of(item, 'CodingSchemeDesignator')}:{value}"


def _values_of(dataset: Dataset, keywords: Iterable[str]) -> Iterable[Any]:
    return (value for keyword in keywords for value in _values(dataset, keyword))


def _has_value(value: Any) -> bool:
    """Return whether an optional value says something: an item, or a text other than none, no and zero."""
    if isinstance(value, Dataset):
        return True
    text = "" if value is None else str(value).strip().upper()
    try:
        return float(text) != 0
    except ValueError:
        return text not in _NOTHING


def _says_yes(dataset: Dataset, keyword: str) -> bool:
    return text_of(dataset, keyword).upper() == "YES"


def _has_contrast_agent(dataset: Dataset) -> bool:
    return any(map(_has_value, _values_of(dataset, _CONTRAST_ELEMENTS)))


def _is_phantom(dataset: Dataset) -> bool:
    quality_control = text_of(dataset, "QualityControlImage").upper() in ("YES", "BOTH")
    return (
        quality_control
        or _says_yes(dataset, "CalibrationImage")
        or text_of(dataset, "BodyPartExamined").upper() in _PHANTOM_PARTS
    )


def _other_region(dataset: Dataset) -> str:
    body_part = text_of(dataset, "BodyPartExamined").upper()
    if body_part in _OTHER_BODY_PARTS:
        return f"Body Part Examined is {body_part}"
    items = _items(dataset, "AnatomicRegionSequence")
    values = {_code_value(item) for item in items} - {"", *_SPECIMENS}
    named_breast = any(
        word in text_of(item, "CodeMeaning").casefold() for item in items for word in ("breast", "mamma")
    )
    if values and not values & _BREAST_REGIONS and not named_breast:
        return f"its anatomic region is {', '.join(sorted(values))}"
    return ""


def _is_specimen(dataset: Dataset, image_type: tuple[str, ...], coded_view: str) -> bool:
    coded = [
        *_items(dataset, "AnatomicRegionSequence"),
        *(item for region in _items(dataset, "AnatomicRegionSequence") for item in _items(region, _REGION_MODIFIERS)),
    ]
    return (
        bool(_items(dataset, "SpecimenDescriptionSequence"))
        or SPECIMEN in (coded_view, _view_by_meaning(_items(dataset, "ViewCodeSequence")))
        or SPECIMEN.upper() in text_of(dataset, "BodyPartExamined").upper()
        or any(_code_value(item) in _SPECIMENS for item in coded)
        or any(SPECIMEN.upper() in value for value in image_type)
    )


def _is_stereotactic(dataset: Dataset, image_type: tuple[str, ...]) -> bool:
    words = (*image_type[2:], text_of(dataset, "DetectorMode").upper())
    return any(word in value for value in words for word in _STEREOTACTIC_WORDS)


def _lateralities(dataset: Dataset) -> dict[str, str]:
    """Every element that states a laterality, the most specific first."""
    stated = {"Image Laterality": text_of(dataset, "ImageLaterality")}
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in _items(dataset, groups):
            for anatomy in _items(group, "FrameAnatomySequence"):
                stated.setdefault("Frame Laterality", text_of(anatomy, "FrameLaterality"))
    stated["Laterality"] = text_of(dataset, "Laterality")
    return {element: value.upper() for element, value in stated.items() if value.upper() in _LATERALITIES}


def _contradictions(dataset: Dataset, lateralities: dict[str, str], coded_view: str, view_text: str) -> Iterable[str]:
    if len(set(lateralities.values())) > 1:
        yield " but ".join(f"{element} says {value}" for element, value in lateralities.items())
    if coded_view and view_text in NAME_OF_VIEW.values() and coded_view != view_text:
        yield f"View Code Sequence says {coded_view} but View Position says {view_text}"
    intent = _presentation_intent_type(dataset)
    of_class = _INTENT_OF_SOP_CLASS.get(text_of(dataset, "SOPClassUID"), intent)
    if intent != of_class:
        yield f"the SOP class says {of_class} but Presentation Intent Type says {intent}"
