"""The kinds of results that a destination can ask for, by the names in destinations.NAME.results."""

from collections.abc import Iterable, Mapping

from pydicom import uid

# Label Map Segmentation Storage (PS3.4 Table B.5-1); pydicom has no name for it.
_LABEL_MAP_SEGMENTATION_STORAGE = uid.UID("1.2.840.10008.5.1.4.1.1.66.7")

SEGMENTATION = "segmentation"
FRACTIONAL_SEGMENTATION = "fractional_segmentation"
LABELMAP_SEGMENTATION = "labelmap_segmentation"
PARAMETRIC_MAP = "parametric_map"
MEASUREMENT_REPORT = "measurement_report"
MAMMOGRAPHY_CAD_SR = "mammography_cad_sr"
PRESENTATION_STATE = "presentation_state"
SECONDARY_CAPTURE = "secondary_capture"
KEY_OBJECT_SELECTION = "key_object_selection"
COMPREHENSIVE_SR = "comprehensive_sr"
NOT_ANALYSED_REPORT = "not_analysed_report"

# In the order of writing: an object follows those that it refers to. The measurement report refers to all before it.
SOP_CLASSES: Mapping[str, uid.UID] = {
    SEGMENTATION: uid.SegmentationStorage,
    FRACTIONAL_SEGMENTATION: uid.SegmentationStorage,
    LABELMAP_SEGMENTATION: _LABEL_MAP_SEGMENTATION_STORAGE,
    PARAMETRIC_MAP: uid.ParametricMapStorage,
    MAMMOGRAPHY_CAD_SR: uid.MammographyCADSRStorage,
    PRESENTATION_STATE: uid.GrayscaleSoftcopyPresentationStateStorage,
    SECONDARY_CAPTURE: uid.SecondaryCaptureImageStorage,
    MEASUREMENT_REPORT: uid.Comprehensive3DSRStorage,
    KEY_OBJECT_SELECTION: uid.KeyObjectSelectionDocumentStorage,
    COMPREHENSIVE_SR: uid.ComprehensiveSRStorage,
    NOT_ANALYSED_REPORT: uid.Comprehensive3DSRStorage,
}

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
