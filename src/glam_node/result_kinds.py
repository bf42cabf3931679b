"""The table of the kinds of results, by the names in destinations.NAME.results."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SEGMENTATION = "segmentation"
FRACTIONAL_SEGMENTATION = "fractional_segmentation"
LABELMAP_SEGMENTATION = "labelmap_segmentation"
PARAMETRIC_MAP = "parametric_map"
MEASUREMENT_REPORT = "measurement_report"
MAMMOGRAPHY_CAD_SR = "mammography_cad_sr"
PRESENTATION_STATE = "presentation_state"
SECONDARY_CAPTURE = "secondary_capture"
ENCAPSULATED_PDF = "encapsulated_pdf"
KEY_OBJECT_SELECTION = "key_object_selection"
COMPREHENSIVE_SR = "comprehensive_sr"
NOT_ANALYSED_REPORT = "not_analysed_report"

RESULT_MESSAGE = "result_message"
"""The HL7 message, which only destinations of kind "hl7" get; it is no DICOM object, so its SOP class is empty."""
MESSAGE_CLASS = ""
SHOWN_MESSAGE = "HL7"

_SOP_CLASS = "1.2.840.10008.5.1.4.1.1."


@dataclass(frozen=True, slots=True)
class ResultKind:
    """A kind of result. Kinds of the same SOP class have the same `shown`."""

    name: str
    sop_class_uid: str
    shown: str
    """The name in lists of results."""
    prefix: str
    """The beginning of the names of files that `glam-node analyse` writes; empty: it writes none."""
    series: int
    """The offset of its first Series Number from results.series_number; further series of the kind count up."""


# In the order of writing: an object follows those that it refers to. The measurement report refers to all before it.
# The series of a segmentation type take 400 numbers, those of a parametric map 8, and those of pictures 5.
RESULT_KINDS = (
    ResultKind(SEGMENTATION, f"{_SOP_CLASS}66.4", "SEG", "SEG", 1),
    ResultKind(FRACTIONAL_SEGMENTATION, f"{_SOP_CLASS}66.4", "SEG", "FRACTIONAL", 1001),
    ResultKind(LABELMAP_SEGMENTATION, f"{_SOP_CLASS}66.7", "LABELMAP SEG", "LABELMAP", 2001),
    ResultKind(PARAMETRIC_MAP, f"{_SOP_CLASS}30", "PARAMETRIC MAP", "MAP", 560),
    ResultKind(MAMMOGRAPHY_CAD_SR, f"{_SOP_CLASS}88.50", "CAD SR", "CAD", 530),
    ResultKind(PRESENTATION_STATE, f"{_SOP_CLASS}11.1", "PR", "PR", 500),
    ResultKind(SECONDARY_CAPTURE, f"{_SOP_CLASS}7", "SC", "SC", 510),
    ResultKind(ENCAPSULATED_PDF, f"{_SOP_CLASS}104.1", "PDF", "PDF", 570),
    ResultKind(MEASUREMENT_REPORT, f"{_SOP_CLASS}88.34", "SR", "SR", 0),
    ResultKind(KEY_OBJECT_SELECTION, f"{_SOP_CLASS}88.59", "KO", "KO", 520),
    ResultKind(COMPREHENSIVE_SR, f"{_SOP_CLASS}88.33", "SR", "SR2", 550),
    ResultKind(NOT_ANALYSED_REPORT, f"{_SOP_CLASS}88.34", "SR", "", 540),
)

KINDS_BY_NAME: Mapping[str, ResultKind] = {kind.name: kind for kind in RESULT_KINDS}
SOP_CLASSES: Mapping[str, str] = {kind.name: kind.sop_class_uid for kind in RESULT_KINDS}

# Kinds that are written for an analysed study
ANALYSIS_KINDS = tuple(kind for kind in SOP_CLASSES if kind != NOT_ANALYSED_REPORT)

# Reports that can refer to the document which they replace
REPORTS = (MEASUREMENT_REPORT, MAMMOGRAPHY_CAD_SR, COMPREHENSIVE_SR)

# Kinds whose objects refer to other results, so that they depend on the other kinds that their destination gets
REFERRING = frozenset({*REPORTS, KEY_OBJECT_SELECTION})

# Kinds that are kept on disk if no destination is configured
DEFAULT_KINDS = frozenset({SEGMENTATION, MEASUREMENT_REPORT})


def fallback_sop_classes(fallbacks: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Return for each destination the SOP class that replaces another as a fallback.

    Args:
        fallbacks: Destination -> kind -> kind that is sent in its place.

    Returns:
        Destination -> SOP Class UID -> SOP Class UID that is sent in its place.
    """
    return {
        name: {SOP_CLASSES[kind]: SOP_CLASSES[instead] for kind, instead in kinds.items()}
        for name, kinds in fallbacks.items()
    }


def wanted_kinds(destinations: Iterable[Iterable[str]]) -> frozenset[str]:
    """Return the kinds that any destination asks for, or the kinds that are always kept if there is no destination."""
    kinds = [frozenset(kinds) for kinds in destinations]
    return frozenset().union(*kinds) if kinds else DEFAULT_KINDS
