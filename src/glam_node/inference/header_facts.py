"""Reading of the facts that decide the kind of an image from its header.

This module imports only pydicom, so that the receiver can use it without the libraries of inference.
"""

from collections.abc import Iterable

from pydicom.dataset import Dataset

from glam_node.inference import kind_signs
from glam_node.inference.elements import code_value, integer_of, items_of, number_of, says_yes, text_of, texts_of
from glam_node.kinds.codes import (
    MODIFIER_OF_MEANING,
    NAME_OF_MODIFIER,
    NAME_OF_VIEW,
    SIDE_OF_REGION,
    VIEW_OF_MEANING,
)
from glam_node.kinds.descriptions import described_kinds
from glam_node.kinds.facts import DRAWN_BY, DRAWN_MODEL, ImageFacts

FOR_PRESENTATION = "FOR PRESENTATION"
FOR_PROCESSING = "FOR PROCESSING"

# PS3.4 Table B.5-1: the SOP classes that imply the intent
_INTENT_OF_SOP_CLASS = {
    "1.2.840.10008.5.1.4.1.1.1.2": FOR_PRESENTATION,
    "1.2.840.10008.5.1.4.1.1.1.2.1": FOR_PROCESSING,
}

_DESCRIPTIONS = (
    "SeriesDescription",
    "AcquisitionDeviceProcessingDescription",
    "DerivationDescription",
    "PaddleDescription",
    "ProtocolName",
    "AcquisitionProtocolName",
    "AcquisitionProtocolDescription",
    "AcquisitionDeviceProcessingCode",
    "ImageType",
)

_LATERALITIES = {"L": "L", "R": "R", "B": "B", "LEFT": "L", "RIGHT": "R", "BOTH": "B"}
# Contact views of all vendors state 1.0 to 1.1, magnified views 1.5 to 2.0.
_LEAST_MAGNIFICATION = 1.3


def describe_view(dataset: Dataset) -> ImageFacts:
    """Return the facts about view and kind that a header states.

    This function never raises, whatever the data set holds: a malformed optional element counts as absent (PS3.3
    C.8.11.7).
    """
    image_type = tuple(value.upper() for value in texts_of(dataset, "ImageType"))
    view_codes = items_of(dataset, "ViewCodeSequence")
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
        rows=integer_of(dataset, "Rows", 0),
        columns=integer_of(dataset, "Columns", 0),
        number_of_frames=integer_of(dataset, "NumberOfFrames", 1),
        specimen=kind_signs.is_specimen(dataset, image_type, (coded_view, view_text, _view_by_meaning(view_codes))),
        stereotactic=kind_signs.is_stereotactic(dataset, image_type),
        breast_implant_present=says_yes(dataset, "BreastImplantPresent"),
        contradiction="; ".join(_contradictions(dataset, lateralities, coded_view, view_text)),
        contrast_agent=kind_signs.has_contrast_agent(dataset),
        partial_view=kind_signs.is_partial(dataset),
        phantom=kind_signs.is_phantom(dataset),
        other_region=kind_signs.other_region(dataset),
        tomosynthesis=kind_signs.is_of_tomosynthesis(dataset),
        film=kind_signs.is_film(dataset),
        drawn=text_of(dataset, "Manufacturer") == DRAWN_BY or text_of(dataset, "ManufacturerModelName") == DRAWN_MODEL,
        described=described_kinds(_descriptions(dataset, view_codes)),
    )


def _presentation_intent_type(dataset: Dataset) -> str:
    stated = text_of(dataset, "PresentationIntentType").upper()
    return stated or _INTENT_OF_SOP_CLASS.get(text_of(dataset, "SOPClassUID"), "")


def _coded_view(view_codes: list[Dataset]) -> str:
    return next((NAME_OF_VIEW[value] for item in view_codes if (value := code_value(item)) in NAME_OF_VIEW), "")


def _by_meaning(item: Dataset, known: dict[str, str]) -> str:
    meaning = "".join(letter for letter in text_of(item, "CodeMeaning").casefold() if letter.isalnum())
    return known.get(meaning, "")


def _view_by_meaning(view_codes: list[Dataset]) -> str:
    return next((view for item in view_codes if (view := _by_meaning(item, VIEW_OF_MEANING))), "")


def _view_modifiers(dataset: Dataset, view_codes: list[Dataset]) -> tuple[str, ...]:
    """Return the sorted names of the view modifiers; a large magnification factor adds "magnification".

    The modifiers are inside the item of the view code (PS3.3 C.8.11.7); in old images they are next to it.
    """
    names = {_modifier(item) for item in _modifier_items(dataset, view_codes)}
    if _magnification(dataset) >= _LEAST_MAGNIFICATION:
        names.add("magnification")
    return tuple(sorted(names - {""}))


def _modifier_items(dataset: Dataset, view_codes: list[Dataset]) -> list[Dataset]:
    return [item for holder in [*view_codes, dataset] for item in items_of(holder, "ViewModifierCodeSequence")]


def _magnification(dataset: Dataset) -> float:
    """Return the stated magnification, or the one from the stated distances (PS3.3 C.8.7.5); 0 without either."""
    to_detector, to_patient = (number_of(dataset, f"DistanceSourceTo{end}") or 0.0 for end in ("Detector", "Patient"))
    by_distances = to_detector / to_patient if to_patient > 0 else 0.0
    return number_of(dataset, "EstimatedRadiographicMagnificationFactor") or by_distances


def _descriptions(dataset: Dataset, view_codes: list[Dataset]) -> Iterable[str]:
    for keyword in _DESCRIPTIONS:
        yield from texts_of(dataset, keyword)
    coded = [*view_codes, *_modifier_items(dataset, view_codes), *items_of(dataset, "DerivationCodeSequence")]
    yield from (text_of(item, "CodeMeaning") for item in coded)


def _modifier(item: Dataset) -> str:
    value = code_value(item)
    known = NAME_OF_MODIFIER.get(value) or _by_meaning(item, MODIFIER_OF_MEANING)
    if known or not value:
        return known or ("unknown" if text_of(item, "CodeMeaning") else "")
    return f"{text_of(item, 'CodingSchemeDesignator')}:{value}"


def _lateralities(dataset: Dataset) -> dict[str, str]:
    """Return the laterality that each element states, by the element's name, the most specific first."""
    stated = {"Image Laterality": text_of(dataset, "ImageLaterality")}
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in items_of(dataset, groups):
            for anatomy in items_of(group, "FrameAnatomySequence"):
                stated.setdefault("Frame Laterality", text_of(anatomy, "FrameLaterality"))
    stated["Laterality"] = text_of(dataset, "Laterality")
    return {
        element: _LATERALITIES[value.upper()] for element, value in stated.items() if value.upper() in _LATERALITIES
    }


def _contradictions(dataset: Dataset, lateralities: dict[str, str], coded_view: str, view_text: str) -> Iterable[str]:
    coded = {side for item in kind_signs.regions_of(dataset) if (side := SIDE_OF_REGION.get(code_value(item)))}
    sides = lateralities | {f"a code of the anatomy ({side})": side for side in sorted(coded)}
    if len(set(sides.values())) > 1:
        yield " but ".join(f"{element} says {value}" for element, value in sides.items())
    views = {
        "View Code Sequence": coded_view,
        "View Position": view_text,
        "the meaning of View Code Sequence": _view_by_meaning(items_of(dataset, "ViewCodeSequence")),
    }
    views = {element: view for element, view in views.items() if view in NAME_OF_VIEW.values()}
    if len(set(views.values())) > 1:
        yield " but ".join(f"{element} says {view}" for element, view in views.items())
    intent = _presentation_intent_type(dataset)
    of_class = _INTENT_OF_SOP_CLASS.get(text_of(dataset, "SOPClassUID"), intent)
    if intent != of_class:
        yield f"the SOP class says {of_class} but Presentation Intent Type says {intent}"
