"""The fields of an expression: attributes of the image by their DICOM keywords, and facts that the node adds."""

import difflib
import re

from pydicom.datadict import dictionary_VR, keyword_dict

from glam_node.rules.expression import Expression, ValueKind, comparisons

NODE_FIELDS: dict[str, tuple[ValueKind, str]] = {
    "calling_ae_title": (ValueKind.TEXT, "AE title of the peer that sent the image."),
    "image_laterality": (ValueKind.TEXT, "Side of the breast: L, R or B, from the attribute that states it."),
    "view_position": (ValueKind.TEXT, "View: CC, MLO ..., from its code or its text."),
    "view_modifiers": (ValueKind.TEXT, "Modifiers of the view: spot_compression, magnification, implant_displaced ..."),
    "standard_views": (ValueKind.NUMBER, "Number of the four standard views among the study's images to be analysed."),
    "images": (ValueKind.NUMBER, "Number of images of the study that would be analysed."),
}
"""The fields that the node adds: by name, the kind of their values and their meaning."""

RESULT_FIELDS: dict[str, tuple[ValueKind, str]] = {
    "malignant_score": (ValueKind.NUMBER, "Largest malignant score of an image, 0 to 1."),
    "benign_score": (ValueKind.NUMBER, "Largest benign score of an image, 0 to 1."),
    "malignant_images": (ValueKind.NUMBER, "Number of images whose malignant score reaches its operating point."),
    "benign_images": (ValueKind.NUMBER, "Number of images whose benign score reaches its operating point."),
    "findings": (ValueKind.NUMBER, "Number of findings in all images."),
    "remarks": (ValueKind.NUMBER, "Number of remarks on images."),
    "images_not_analysed": (ValueKind.NUMBER, "Number of images whose analysis failed."),
    "prior_exams": (ValueKind.NUMBER, "Number of prior exams that the findings were compared with."),
    "malignant_change": (
        ValueKind.NUMBER,
        "Malignant score of the study less that of its latest prior exam, -1 to 1.",
    ),
    "benign_change": (ValueKind.NUMBER, "Benign score of the study less that of its latest prior exam, -1 to 1."),
    "new_findings": (
        ValueKind.NUMBER,
        "Number of findings, in the views that could be compared, without one at a corresponding place then.",
    ),
}
"""The fields that an analysis adds, with the same values for all images of a study; kind and meaning by name."""

SCORES = ("malignant_score", "benign_score")
"""The fields whose values are 0 to 1."""

_ADDED = NODE_FIELDS | RESULT_FIELDS

LONGEST_PATH = 4
"""The largest number of keywords in a path."""

_KIND_OF_VR = {
    **dict.fromkeys(("AE", "CS", "LO", "SH", "UI"), ValueKind.TEXT),
    **dict.fromkeys(("DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV", "US or SS"), ValueKind.NUMBER),
    "DA": ValueKind.DATE,
    "AS": ValueKind.AGE,
}
_PATIENT = 0x0010
# The attributes of group 0010 (the patient) that do not identify a person, since many patients share their values
_SHARED_BY_MANY = frozenset({"PatientAge", "PatientSex", "PregnancyStatus", "SmokingStatus"})
_IDENTIFIES = re.compile(
    r".*(Patient|Birth|Person|Physician|Operator|Telephone|Telecom|Address|Issuer).*"
    r"|AccessionNumber|AdmissionID|StudyID|ServiceEpisodeID|RequestedProcedureID|ScheduledProcedureStepID"
    r"|FillerOrderNumber.*|PlacerOrderNumber.*"
)
_NOT_SHOWN = re.compile(r".*(Description|Comments|Age|Sex|Status|Date|AccessionNumber).*")


class FieldError(ValueError):
    """The field cannot be used in an expression; the message gives the reason."""


def kind_of(path: str) -> ValueKind:
    """Return the kind of a field's values.

    Args:
        path: A field: a name of NODE_FIELDS or RESULT_FIELDS, or DICOM keywords joined by dots, the last one inside
            the others.

    Raises:
        FieldError: The field is unknown, or no rule may use it.
    """
    if path in _ADDED:
        return _ADDED[path][0]
    *holders, last = path.split(".")
    if len(holders) >= LONGEST_PATH:
        raise FieldError(f"a path has at most {LONGEST_PATH} keywords")
    for holder in holders:
        if _value_representation(holder) != "SQ":
            raise FieldError(f"{holder} is not a sequence, so no keyword can follow it")
    representation = _value_representation(last)
    if representation == "SQ":
        raise FieldError(f"{last} is a sequence: name what is inside it, as in {last}.CodeValue")
    kind = _KIND_OF_VR.get(representation)
    if kind is None:
        raise FieldError(f"{last} has values (VR {representation}) that cannot be compared")
    return kind


def is_shown(path: str) -> bool:
    """Return whether the field's values may be shown to a person who tries rules.

    Free text, dates and attributes of the patient are not shown.
    """
    return path in _ADDED or not _NOT_SHOWN.fullmatch(path)


def is_of_the_header(path: str) -> bool:
    """Return whether the field's values come from the image's header, and not from the node."""
    return path not in _ADDED


def asks_about_results(expression: Expression) -> bool:
    """Return whether an expression can be evaluated only after the analysis."""
    return any(comparison.field in RESULT_FIELDS for comparison in comparisons(expression))


def _value_representation(keyword: str) -> str:
    if keyword not in keyword_dict:
        allowed = (one for one in keyword_dict if not _identifies_a_person(one))
        near = difflib.get_close_matches(keyword, [*allowed, *_ADDED], 1)
        raise FieldError(f"{keyword} is not a DICOM keyword" + (f"; did you mean {near[0]}?" if near else ""))
    if _identifies_a_person(keyword):
        raise FieldError(f"{keyword} may identify a person, so no rule may use it")
    return dictionary_VR(keyword_dict[keyword])


def _identifies_a_person(keyword: str) -> bool:
    tag = keyword_dict[keyword]
    personal = dictionary_VR(tag) == "PN" or tag >> 16 == _PATIENT or _IDENTIFIES.fullmatch(keyword) is not None
    return personal and keyword not in _SHARED_BY_MANY
