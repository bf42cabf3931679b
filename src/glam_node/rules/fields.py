"""What an expression may ask about: attributes of the image by their keywords, and what the node knows of it."""

import difflib
import re

from pydicom.datadict import dictionary_VR, keyword_dict

from glam_node.rules.syntax import Kind

NODE_FIELDS: dict[str, tuple[Kind, str]] = {
    "calling_ae_title": (Kind.TEXT, "AE title of the peer that sent the image."),
    "image_laterality": (Kind.TEXT, "L, R or B, from whichever attribute states it."),
    "view_position": (Kind.TEXT, "CC, MLO ..., from the view's code or its text."),
    "view_modifiers": (Kind.TEXT, "spot_compression, magnification, implant_displaced ..."),
    "standard_views": (Kind.NUMBER, "How many of the four standard views the study's images to be analysed show."),
    "images": (Kind.NUMBER, "How many images of the study would be analysed."),
}
"""By name: what its values are, and what it means."""

LONGEST_PATH = 4
"""Keywords in a path."""

_KIND_OF_VR = {
    **dict.fromkeys(("AE", "CS", "LO", "SH", "UI"), Kind.TEXT),
    **dict.fromkeys(("DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV", "US or SS"), Kind.NUMBER),
    "DA": Kind.DATE,
    "AS": Kind.AGE,
}
_PATIENT = 0x0010
# Of group 0010, which is the patient's, what many women have in common
_SHARED_BY_MANY = frozenset({"PatientAge", "PatientSex", "PregnancyStatus", "SmokingStatus"})
_IDENTIFIES = re.compile(
    r".*(Patient|Birth|Person|Physician|Operator|Telephone|Telecom|Address|Issuer).*"
    r"|AccessionNumber|AdmissionID|StudyID|ServiceEpisodeID|RequestedProcedureID|ScheduledProcedureStepID"
    r"|FillerOrderNumber.*|PlacerOrderNumber.*"
)
_NOT_SHOWN = re.compile(r".*(Description|Comments|Age|Sex|Status|Date|AccessionNumber).*")


class FieldError(ValueError):
    """The field cannot be asked about; the message says why and what can."""


def kind_of(path: str) -> Kind:
    """What the values of a field are. Raises FieldError for one that is not known, or that no rule may use."""
    if path in NODE_FIELDS:
        return NODE_FIELDS[path][0]
    *holders, last = path.split(".")
    if len(holders) >= LONGEST_PATH:
        raise FieldError(f"a path has at most {LONGEST_PATH} keywords")
    for holder in holders:
        if _value_representation(holder) != "SQ":
            raise FieldError(f"{holder} is no sequence, so nothing stands inside it")
    representation = _value_representation(last)
    if representation == "SQ":
        raise FieldError(f"{last} is a sequence: name what is inside it, as in {last}.CodeValue")
    kind = _KIND_OF_VR.get(representation)
    if kind is None:
        raise FieldError(f"{last} has values (VR {representation}) that cannot be compared")
    return kind


def is_shown(path: str) -> bool:
    """Whether its values may be shown to who tries rules: not free text, dates, and what is the patient's."""
    return path in NODE_FIELDS or not _NOT_SHOWN.fullmatch(path)


def is_of_the_header(path: str) -> bool:
    """Whether the image's header has to be read for it."""
    return path not in NODE_FIELDS


def _value_representation(keyword: str) -> str:
    if keyword not in keyword_dict:
        near = difflib.get_close_matches(keyword, [*keyword_dict, *NODE_FIELDS], 1)
        raise FieldError(f"{keyword} is no DICOM keyword" + (f"; did you mean {near[0]}?" if near else ""))
    tag = keyword_dict[keyword]
    representation = dictionary_VR(tag)
    if keyword in _SHARED_BY_MANY:
        return representation
    if representation == "PN" or tag >> 16 == _PATIENT or _IDENTIFIES.fullmatch(keyword):
        raise FieldError(f"{keyword} may say who somebody is, which no rule may depend on")
    return representation
