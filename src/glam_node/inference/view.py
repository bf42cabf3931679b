"""Which view a data set says it is; pydicom only, so that the receiving node may ask as well."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

FOR_PRESENTATION = "FOR PRESENTATION"
FOR_PROCESSING = "FOR PROCESSING"
SPECIMEN = "specimen"

# PS3.4 Table B.5-1: the classes that state the intent by themselves
_INTENT_OF_SOP_CLASS = {
    "1.2.840.10008.5.1.4.1.1.1.2": FOR_PRESENTATION,
    "1.2.840.10008.5.1.4.1.1.1.2.1": FOR_PROCESSING,
}

# PS3.16 CID 4014 "View for Mammography": SNOMED CT, the retired SNOMED-RT value, and what earlier editions had
_VIEWS = {
    ("399162004", "R-10242"): "CC",
    ("399368009", "R-10226"): "MLO",
    ("399260004", "R-10224"): "ML",
    ("399352003", "R-10228"): "LM",
    ("399099002", "R-10230"): "LMO",
    ("399196006", "R-10244"): "FB",
    ("399188001", "R-102D0"): "SIO",
    ("441555000", "R-40AAA"): "ISO",
    ("399192008", "R-1024A", "Y-X1770"): "XCCL",
    ("399101009", "R-1024B", "Y-X1771"): "XCCM",
    ("R-102CF",): "XCC",
    ("127457009", "G-8310"): SPECIMEN,
}

# PS3.16 CID 4015 "View Modifier for Mammography"
_VIEW_MODIFIERS = {
    ("399161006", "R-102D2"): "cleavage",
    ("399011000", "R-102D1"): "axillary_tail",
    ("399197002", "R-102D3"): "rolled_lateral",
    ("399226006", "R-102D4"): "rolled_medial",
    ("414493004", "R-102CA"): "rolled_inferior",
    ("415670009", "R-102C9"): "rolled_superior",
    ("399209000", "R-102D5"): "implant_displaced",
    ("399163009", "R-102D6"): "magnification",
    ("399055006", "R-102D7"): "spot_compression",
    ("399110001", "R-102C2"): "tangential",
    ("442581004", "R-40AB3"): "nipple_in_profile",
    ("441752004", "P2-00161"): "anterior_compression",
    ("442593008", "R-40ABE"): "infra_mammary_fold",
    ("442580003", "R-40AB2"): "axillary_tissue",
}

# A code value is unique across SCT (numbers) and SRT, SNM3, 99SDM (letters): the scheme need not be asked.
_NAME_OF_VIEW = {value: name for values, name in _VIEWS.items() for value in values}
_NAME_OF_MODIFIER = {value: name for values, name in _VIEW_MODIFIERS.items() for value in values}

_LATERALITIES = frozenset({"L", "R", "B"})
# Contact views of all vendors state 1.0 to 1.1, magnification stands 1.5 to 2.0.
_LEAST_MAGNIFICATION = 1.3
# PS3.3 Table C.8-74a, in all their variants
_STEREOTACTIC_WORDS = ("STEREO", "SCOUT", "PREFIRE", "POSTFIRE", "BIOPSY", "POSTMARKER")


@dataclass(frozen=True, slots=True)
class ViewDescription:
    """What an image says of itself; empty strings and zeros where it does not say."""

    modality: str = ""
    presentation_intent_type: str = ""
    """FOR PRESENTATION or FOR PROCESSING (0008,0068), or what the SOP class says."""
    image_laterality: str = ""
    """L, R or B."""
    view_position: str = ""
    """CC, MLO or another abbreviation (ML, XCCL ...); "specimen" for tissue that is no longer in a breast."""
    view_modifiers: tuple[str, ...] = ()
    """magnification, spot_compression, implant_displaced ... (PS3.16 CID 4015), sorted; else SCHEME:VALUE."""
    image_type: tuple[str, ...] = ()
    rows: int = 0
    columns: int = 0
    number_of_frames: int = 1
    specimen: bool = False
    stereotactic: bool = False
    """Made for a biopsy or localisation: scout, stereo pair."""
    breast_implant_present: bool = False
    contradiction: str = ""
    """What the image says in two ways that cannot both be true, in plain words; empty when there is nothing."""


def describe_view(dataset: Dataset) -> ViewDescription:
    """What `dataset` says about its view; never raises, whatever the data set holds (PS3.3 C.8.11.7)."""
    image_type = tuple(value.upper() for value in _texts(dataset, "ImageType"))
    view_codes = _items(dataset, "ViewCodeSequence")
    coded_view = _coded_view(view_codes)
    view_text = _text(dataset, "ViewPosition").upper()
    lateralities = _lateralities(dataset)
    return ViewDescription(
        modality=_text(dataset, "Modality").upper(),
        presentation_intent_type=_presentation_intent_type(dataset),
        image_laterality=next(iter(lateralities.values()), ""),
        view_position=coded_view or view_text,
        view_modifiers=_view_modifiers(dataset, view_codes),
        image_type=image_type,
        rows=_integer(dataset, "Rows", 0),
        columns=_integer(dataset, "Columns", 0),
        number_of_frames=_integer(dataset, "NumberOfFrames", 1),
        specimen=_is_specimen(dataset, image_type, coded_view),
        stereotactic=_is_stereotactic(dataset, image_type),
        breast_implant_present=_text(dataset, "BreastImplantPresent").upper() == "YES",
        contradiction="; ".join(_contradictions(dataset, lateralities, coded_view, view_text)),
    )


def _values(dataset: Dataset, keyword: str) -> list[Any]:
    try:
        value = dataset.get(keyword)
        return list(value) if isinstance(value, Iterable) and not isinstance(value, str | bytes) else [value]
    except Exception:  # pydicom converts on access and raises whatever its converters raise
        return []


def _texts(dataset: Dataset, keyword: str) -> list[str]:
    return [str(value).strip() for value in _values(dataset, keyword) if value is not None]


def _text(dataset: Dataset, keyword: str) -> str:
    return next(iter(_texts(dataset, keyword)), "")


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    return [item for item in _values(dataset, keyword) if isinstance(item, Dataset)]


def _number(dataset: Dataset, keyword: str) -> float | None:
    try:
        return float(_text(dataset, keyword))
    except ValueError:
        return None


def _integer(dataset: Dataset, keyword: str, default: int) -> int:
    number = _number(dataset, keyword)
    return default if number is None or not number.is_integer() else int(number)


def _presentation_intent_type(dataset: Dataset) -> str:
    stated = _text(dataset, "PresentationIntentType").upper()
    return stated or _INTENT_OF_SOP_CLASS.get(_text(dataset, "SOPClassUID"), "")


def _code_value(item: Dataset) -> str:
    return _text(item, "CodeValue") or _text(item, "LongCodeValue")


def _coded_view(view_codes: list[Dataset]) -> str:
    return next((_NAME_OF_VIEW[value] for item in view_codes if (value := _code_value(item)) in _NAME_OF_VIEW), "")


def _view_modifiers(dataset: Dataset, view_codes: list[Dataset]) -> tuple[str, ...]:
    """The modifiers stand inside the view code's item (PS3.3 C.8.11.7), in old images beside it."""
    names = set()
    for holder in [*view_codes, dataset]:
        for item in _items(holder, "ViewModifierCodeSequence"):
            value = _code_value(item)
            if value:
                names.add(_NAME_OF_MODIFIER.get(value, f"{_text(item, 'CodingSchemeDesignator')}:{value}"))
    if (_number(dataset, "EstimatedRadiographicMagnificationFactor") or 0.0) >= _LEAST_MAGNIFICATION:
        names.add("magnification")
    return tuple(sorted(names))


def _is_specimen(dataset: Dataset, image_type: tuple[str, ...], coded_view: str) -> bool:
    described = bool(_items(dataset, "SpecimenDescriptionSequence"))
    return described or coded_view == SPECIMEN or any(SPECIMEN.upper() in value for value in image_type)


def _is_stereotactic(dataset: Dataset, image_type: tuple[str, ...]) -> bool:
    words = (*image_type[2:], _text(dataset, "DetectorMode").upper())
    return any(word in value for value in words for word in _STEREOTACTIC_WORDS)


def _lateralities(dataset: Dataset) -> dict[str, str]:
    """Every element that states a laterality, the most specific first."""
    stated = {"Image Laterality": _text(dataset, "ImageLaterality")}
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in _items(dataset, groups):
            for anatomy in _items(group, "FrameAnatomySequence"):
                stated.setdefault("Frame Laterality", _text(anatomy, "FrameLaterality"))
    stated["Laterality"] = _text(dataset, "Laterality")
    return {element: value.upper() for element, value in stated.items() if value.upper() in _LATERALITIES}


def _contradictions(dataset: Dataset, lateralities: dict[str, str], coded_view: str, view_text: str) -> Iterable[str]:
    if len(set(lateralities.values())) > 1:
        yield " but ".join(f"{element} says {value}" for element, value in lateralities.items())
    if coded_view and view_text in _NAME_OF_VIEW.values() and coded_view != view_text:
        yield f"View Code Sequence says {coded_view} but View Position says {view_text}"
    intent = _presentation_intent_type(dataset)
    of_class = _INTENT_OF_SOP_CLASS.get(_text(dataset, "SOPClassUID"), intent)
    if intent != of_class:
        yield f"the SOP class says {of_class} but Presentation Intent Type says {intent}"
