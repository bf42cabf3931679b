"""Signs in a header, apart from Image Type and view, that an image is not a screening view."""

from collections.abc import Iterable

from pydicom.dataset import Dataset

from glam_node.inference.elements import (
    code_value,
    has_value,
    items_of,
    number_of,
    says_yes,
    text_of,
    texts_of,
    values_of,
)
from glam_node.kinds.codes import OF_A_VOLUME, OF_SEVERAL_EXPOSURES, SPECIMEN

# Elements that only slices, layers and volumes of a tomosynthesis and images computed from them have
_TOMOSYNTHESIS_ELEMENTS = (
    "TomoClass",
    "TomoType",
    "TomoLayerHeight",
    "TomoAngle",
    "TomoTime",
    "SliceThickness",
    "SpacingBetweenSlices",
    "ImagePositionPatient",
    "NumberOfTomosynthesisSourceImages",
    "VolumetricProperties",
    "VolumeBasedCalculationTechnique",
    "ConcatenationUID",
    "InConcatenationNumber",
    "SOPInstanceUIDOfConcatenationSource",
    "XRay3DAcquisitionSequence",
    "XRay3DReconstructionSequence",
)
# Elements of the Contrast/Bolus module (PS3.3 C.7.6.4) that show that a contrast agent was used
_CONTRAST_ELEMENTS = (
    "ContrastBolusAgent",
    "ContrastBolusAgentSequence",
    "ContrastBolusIngredient",
    "ContrastBolusIngredientCodeSequence",
    "ContrastBolusIngredientConcentration",
    "ContrastBolusVolume",
    "ContrastBolusTotalDose",
    "ContrastBolusRoute",
    "ContrastBolusAdministrationRouteSequence",
    "ContrastAdministrationProfileSequence",
    "ContrastBolusStartTime",
    "ContrastBolusStopTime",
    "ContrastFlowRate",
    "ContrastFlowDuration",
    "RequestedContrastAgent",
)
# Screening views are exposed with 22 to 40 kV; copper filters are used for high-energy images only.
_LEAST_HIGH_ENERGY_KV, _HIGH_ENERGY_FILTERS = 45, ("COPPER", "CU")
# SNOMED CT and retired SNOMED-RT codes of the breast, both breasts, the right and the left breast (PS3.3 C.8.11.7)
_BREAST_REGIONS = frozenset(
    {"76752008", "T-04000", "63762007", "T-04080", "73056007", "T-04020", "80248007", "T-04030"}
)
_BREAST_WORDS = ("breast", "mamma", "mama", "brust", "sein", "seno", "borst", "bröst", "bryst")
_PHANTOM_PARTS = frozenset({"PHANTOM", "QC", "TEST", "CALIBRATION"})
# PS3.16 Annex L: defined terms of Body Part Examined for regions that are X-rayed; sites also write their own words
# fmt: off
_OTHER_BODY_PARTS = frozenset({
    "ABDOMEN", "ANKLE", "ARM", "AXILLA", "BRAIN", "CHEST", "CLAVICLE", "COCCYX", "CSPINE", "ELBOW", "EXTREMITY",
    "FEMUR", "FOOT", "HAND", "HEAD", "HEART", "HIP", "HUMERUS", "JAW", "KNEE", "LEG", "LIVER", "LSPINE", "LUNG", "NECK",
    "PELVIS", "SHOULDER", "SKULL", "SPINE", "SSPINE", "THYROID", "TSPINE", "WRIST",
})
# fmt: on

_SPECIMENS = ("127457009", "G-8310")
_REGION_MODIFIERS = ("AnatomicRegionModifierSequence", "PrimaryAnatomicStructureModifierSequence")
# Model names of machines that image only specimens, and of tables used only for biopsies
_SPECIMEN_CABINETS = ("FAXITRON", "BIOVISION", "KUBTEC", "TRIDENT")
_BIOPSY_TABLES = ("MULTICARE", "MAMMOTEST", "AFFIRM")
# Parts of the defined terms of PS3.3 Table C.8-74a
_STEREOTACTIC_WORDS = ("STEREO", "SCOUT", "PREFIRE", "POSTFIRE", "BIOPSY", "POSTMARKER")


def _is_derived_by(dataset: Dataset, codes: frozenset[str]) -> bool:
    return any(code_value(item) in codes for item in items_of(dataset, "DerivationCodeSequence"))


def has_contrast_agent(dataset: Dataset) -> bool:
    """Return whether the header shows that a contrast agent was used.

    A high-energy exposure, or an image combined from two exposures, counts too: neither is made without an agent.
    """
    filters = {text.upper() for text in texts_of(dataset, "FilterMaterial")}
    return (
        any(map(has_value, values_of(dataset, _CONTRAST_ELEMENTS)))
        or not filters.isdisjoint(_HIGH_ENERGY_FILTERS)
        or (number_of(dataset, "KVP") or 0.0) >= _LEAST_HIGH_ENERGY_KV
        or _is_derived_by(dataset, OF_SEVERAL_EXPOSURES)
    )


def is_of_tomosynthesis(dataset: Dataset) -> bool:
    """Return whether the header has elements or codes that only images of a tomosynthesis volume have."""
    stated = any(map(has_value, values_of(dataset, _TOMOSYNTHESIS_ELEMENTS)))
    return stated or _is_derived_by(dataset, OF_A_VOLUME)


def is_partial(dataset: Dataset) -> bool:
    """Return whether the header says that the image shows only a part of the breast."""
    return (
        says_yes(dataset, "PartialView")
        or bool(items_of(dataset, "PartialViewCodeSequence"))
        or has_value(text_of(dataset, "PartialViewDescription"))
    )


def is_phantom(dataset: Dataset) -> bool:
    """Return whether the header says that the image is for quality control or calibration."""
    parts = {word for part in ("BodyPartExamined", "OrganExposed") for word in text_of(dataset, part).upper().split()}
    quality_control = any(says_yes(dataset, keyword) for keyword in ("QualityControlImage", "CalibrationImage"))
    return quality_control or not parts.isdisjoint(_PHANTOM_PARTS)


def is_film(dataset: Dataset) -> bool:
    """Return whether the header says that the image is digitised film (PS3.3 C.8.6.1 and C.8.11.4)."""
    stated = text_of(dataset, "ConversionType").upper(), text_of(dataset, "DetectorType").upper()
    return stated[0] == "DF" or stated[1] == "FILM"


def other_region(dataset: Dataset) -> str:
    """Return the statement that the image shows another part of the body; empty when there is none."""
    body_part = text_of(dataset, "BodyPartExamined").upper()
    if body_part in _OTHER_BODY_PARTS:
        return f"Body Part Examined is {body_part}"
    items = items_of(dataset, "AnatomicRegionSequence")
    values = {code_value(item) for item in items} - {"", *_SPECIMENS}
    named_breast = any(word in text_of(item, "CodeMeaning").casefold() for item in items for word in _BREAST_WORDS)
    if values and not values & _BREAST_REGIONS and not named_breast:
        return f"its anatomic region is {', '.join(sorted(values))}"
    return ""


def regions_of(dataset: Dataset) -> list[Dataset]:
    """Return the items that name the imaged anatomy, and the items that modify them."""
    regions = [*items_of(dataset, "AnatomicRegionSequence"), *items_of(dataset, "PrimaryAnatomicStructureSequence")]
    modifiers = (item for region in regions for keyword in _REGION_MODIFIERS for item in items_of(region, keyword))
    return [*regions, *modifiers]


def is_specimen(dataset: Dataset, image_type: tuple[str, ...], views: Iterable[str]) -> bool:
    """Return whether any part of the header says that the image shows a tissue specimen.

    Args:
        dataset: The header.
        image_type: The values of Image Type.
        views: The views that the header states.
    """
    texts = [*image_type, *views, text_of(dataset, "BodyPartExamined")]
    texts += [text_of(item, "CodeMeaning") for item in regions_of(dataset)]
    return (
        bool(items_of(dataset, "SpecimenDescriptionSequence"))
        or bool(text_of(dataset, "ContainerIdentifier"))
        or _is_made_by(dataset, _SPECIMEN_CABINETS)
        or any(code_value(item) in _SPECIMENS for item in regions_of(dataset))
        or any(SPECIMEN in text.casefold() for text in texts)
    )


def is_stereotactic(dataset: Dataset, image_type: tuple[str, ...]) -> bool:
    """Return whether the header says that the image was made for a biopsy or a localisation."""
    words = (*image_type[2:], text_of(dataset, "DetectorMode").upper())
    return _is_made_by(dataset, _BIOPSY_TABLES) or any(word in value for value in words for word in _STEREOTACTIC_WORDS)


def _is_made_by(dataset: Dataset, machines: Iterable[str]) -> bool:
    model = text_of(dataset, "ManufacturerModelName").upper()
    return any(machine in model for machine in machines)
