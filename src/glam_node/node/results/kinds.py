"""The kinds of results that a destination can ask for, by the names in destinations.NAME.results."""

from collections.abc import Iterable, Mapping

from pydicom import uid

# Label Map Segmentation Storage (PS3.4 Table B.5-1), which pydicom has no name for
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

# In the order of writing: what refers to another comes after it. The measurement report names all before it.
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

# All but what is made where there are no findings to write down
OF_FINDINGS = tuple(kind for kind in SOP_CLASSES if kind != NOT_ANALYSED_REPORT)

# What can name the document that it follows
REPORTS = (MEASUREMENT_REPORT, MAMMOGRAPHY_CAD_SR, COMPREHENSIVE_SR)

# Objects of these name other results, so that they depend on what else their destination gets.
REFERRING = frozenset({*REPORTS, KEY_OBJECT_SELECTION})

# Kept on disk where there is no destination to ask for anything.
KEPT_ANYWAY = frozenset({SEGMENTATION, MEASUREMENT_REPORT})


def by_class(fallbacks: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """By destination, which SOP class stands in for which, from the kinds that do."""
    return {
        name: {SOP_CLASSES[kind]: SOP_CLASSES[instead] for kind, instead in kinds.items()}
        for name, kinds in fallbacks.items()
    }


def wanted_kinds(destinations: Iterable[Iterable[str]]) -> frozenset[str]:
    """What some destination asks for; without destinations what is kept anyway."""
    kinds = [frozenset(kinds) for kinds in destinations]
    return frozenset().union(*kinds) if kinds else KEPT_ANYWAY
