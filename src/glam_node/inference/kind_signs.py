"""Signs in a header, outside Image Type and view, that an image is of another kind than a screening view."""

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

# Elements that only slices, layers and volumes of a tomosynthesis have, and images that were computed from them
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
# Elements of the Contrast/Bolus module (PS3.3 C.7.6.4) that say that there was a contrast agent
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
# Screening is exposed with 22 to 40 kV; the copper filter is for the high-energy image alone.
_LEAST_HIGH_ENERGY_KV, _HIGH_ENERGY_FILTERS = 45, ("COPPER", "CU")
# SNOMED CT and retired SNOMED-RT values of the breast, both breasts, the right and the left one (PS3.3 C.8.11.7)
_BREAST_REGIONS = frozenset(
    {"76752008", "T-04000", "63762007", "T-04080", "73056007", "T-04020", "80248007", "T-04030"}
)
_BREAST_WORDS = ("breast", "mamma", "mama", "brust", "sein", "seno", "borst", "bröst", "bryst")
_PHANTOM_PARTS = frozenset({"PHANTOM", "QC", "TEST", "CALIBRATION"})
# PS3.16 Annex L, defined terms of Body Part Examined for what is taken with X-rays; sites also write words of their own
# fmt: off
_OTHER_BODY_PARTS = frozenset({
    "ABDOMEN", "ANKLE", "ARM", "AXILLA", "BRAIN", "CHEST", "CLAVICLE", "COCCYX", "CSPINE", "ELBOW", "EXTREMITY",
    "FEMUR", "FOOT", "HAND", "HEAD", "HEART", "HIP", "HUMERUS", "JAW", "KNEE", "LEG", "LIVER", "LSPINE", "LUNG", "NECK",
    "PELVIS", "SHOULDER", "SKULL", "SPINE", "SSPINE", "THYROID", "TSPINE", "WRIST",
})
# fmt: on

_SPECIMENS = ("127457009", "G-8310")
_REGION_MODIFIERS = ("AnatomicRegionModifierSequence", "PrimaryAnatomicStructureModifierSequence")
# Machines for specimens, and for biopsies, alone
_SPECIMEN_CABINETS = ("FAXITRON", "BIOVISION", "KUBTEC", "TRIDENT")
_BIOPSY_TABLES = ("MULTICARE", "MAMMOTEST", "AFFIRM")
# PS3.3 Table C.8-74a, in all their variants
_STEREOTACTIC_WORDS = ("STEREO", "SCOUT", "PREFIRE", "POSTFIRE", "BIOPSY", "POSTMARKER")


def _is_derived_by(dataset: Dataset, codes: frozenset[str]) -> bool:
    return any(code_value(item) in codes for item in items_of(dataset, "DerivationCodeSequence"))


def has_contrast_agent(dataset: Dataset) -> bool:
    """Return whether the header shows that there was a contrast agent.

    An exposure of high energy, and the difference of two exposures, are of no use without one.
    """
    filters = {text.upper() for text in texts_of(dataset, "FilterMaterial")}
    return (
        any(map(has_value, values_of(dataset, _CONTRAST_ELEMENTS)))
        or not filters.isdisjoint(_HIGH_ENERGY_FILTERS)
        or (number_of(dataset, "KVP") or 0.0) >= _LEAST_HIGH_ENERGY_KV
        or _is_derived_by(dataset, OF_SEVERAL_EXPOSURES)
    )


def is_of_tomosynthesis(dataset: Dataset) -> bool:
    """Return whether the header has elements or codes that only images of a volume have."""
    stated = any(map(has_value, values_of(dataset, _TOMOSYNTHESIS_ELEMENTS)))
    return stated or _is_derived_by(dataset, OF_A_VOLUME)


def is_partial(dataset: Dataset) -> bool:
    """Return whether the image shows a part of the breast."""
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
    """Return the items that name what is imaged, and those that modify them."""
    regions = [*items_of(dataset, "AnatomicRegionSequence"), *items_of(dataset, "PrimaryAnatomicStructureSequence")]
    modifiers = (item for region in regions for keyword in _REGION_MODIFIERS for item in items_of(region, keyword))
    return [*regions, *modifiers]


def is_specimen(dataset: Dataset, image_type: tuple[str, ...], views: Iterable[str]) -> bool:
    """Return whether the header says, in any of its places, that the image is of a specimen."""
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
    """Return whether the image was made for a biopsy or a localisation."""
    words = (*image_type[2:], text_of(dataset, "DetectorMode").upper())
    return _is_made_by(dataset, _BIOPSY_TABLES) or any(word in value for value in words for word in _STEREOTACTIC_WORDS)


def _is_made_by(dataset: Dataset, machines: Iterable[str]) -> bool:
    model = text_of(dataset, "ManufacturerModelName").upper()
    return any(machine in model for machine in machines)
