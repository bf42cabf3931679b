"""The table of kinds of image that are not analysed, each with its test and its reason in plain words."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

from glam_node.kinds.facts import CONTRAST_LOW_ENERGY, CONVENTIONAL, FILM, SYNTHESIZED, ImageFacts, KindPolicy
from glam_node.kinds.predicates import (
    IMPLANT_DISPLACED,
    STANDARD_VIEWS,
    accepted_kind,
    is_contrast_enhanced,
    is_film,
    is_low_energy,
    is_magnified,
    is_of_another_class,
    is_of_another_view,
    is_of_tomosynthesis,
    is_of_unknown_type,
    is_phantom,
    is_secondary,
    is_specimen,
    is_spot,
    is_stereotactic,
    is_synthesized,
)

_LONGEST_STATED = 200
_Holds = Callable[[ImageFacts, str, KindPolicy], bool]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of image that is not analysed."""

    rule: str
    """The name of the kind, which is recorded for a study that is left out."""
    phrase: str
    """The words after a number of images, as in "4 images of tomosynthesis"."""
    sentence: str
    """The reason for one image; names in braces are replaced by the values of ImageFacts."""
    holds: _Holds
    """The test whether an image with these facts, SOP Class UID and policy is of this kind."""

    def reason(self, facts: ImageFacts) -> str:
        """Return the reason why an image with these facts is not analysed, as a sentence."""
        return self.sentence.format_map({field.name: _stated(getattr(facts, field.name)) for field in fields(facts)})


def _stated(value: object) -> str:
    text = "\\".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text[:_LONGEST_STATED] or "not given"


# The order is from images unrelated to screening to images that are almost a screening view. An image is left out for
# the first kind that applies to it. A study is left out for the kind of its images that is last in this table.
KINDS: tuple[Kind, ...] = (
    Kind(
        "no_mammography",
        "not of mammography",
        "The image is not a mammogram: its modality is {modality}.",
        lambda facts, _, __: facts.modality != "MG",
    ),
    Kind(
        "secondary_capture",
        "secondary captures",
        "The image is a secondary capture: a picture of an image (its SOP class, or SECONDARY in Image Type).",
        is_secondary,
    ),
    Kind(
        "other_class",
        "that are not stored as mammograms",
        "The image is not stored as a mammogram: its SOP class is of another modality.",
        is_of_another_class,
    ),
    Kind(
        "phantom",
        "of a phantom, for quality control or calibration",
        "The image shows a quality control phantom, or is for calibration.",
        is_phantom,
    ),
    Kind(
        "other_region",
        "of another part of the body",
        "The image does not show a breast: {other_region}.",
        lambda facts, _, __: bool(facts.other_region),
    ),
    Kind("specimen", "of a specimen", "The image shows a tissue specimen, not a breast.", is_specimen),
    Kind(
        "stereotactic",
        "made for a biopsy",
        "The image belongs to a stereotactic biopsy or a localisation; it is not a screening view.",
        is_stereotactic,
    ),
    Kind(
        "contrast_enhanced",
        "contrast-enhanced",
        "The image is contrast-enhanced (contrast agent, subtraction or high energy); it is not a screening view.",
        is_contrast_enhanced,
    ),
    Kind(
        "tomosynthesis_only",
        "of tomosynthesis",
        "The image is a slice, layer or projection of a tomosynthesis ({number_of_frames} frames, Image Type "
        "{image_type}).",
        is_of_tomosynthesis,
    ),
    Kind(
        "for_processing_only",
        "for processing",
        "The image is not for presentation: its intent is {presentation_intent_type}.",
        lambda facts, _, __: facts.presentation_intent_type == "FOR PROCESSING",
    ),
    Kind(
        "presentation_intent_missing",
        "that do not state the intent FOR PRESENTATION",
        "The image is not for presentation: its intent is {presentation_intent_type}.",
        lambda facts, _, __: facts.presentation_intent_type != "FOR PRESENTATION",
    ),
    Kind(
        "no_pixels",
        "without pixels",
        "The image has no size: Rows or Columns is missing or zero.",
        lambda facts, _, __: min(facts.rows, facts.columns) < 1,
    ),
    Kind("spot", "of spot compressions", "The view is a spot compression; it shows a part of the breast.", is_spot),
    Kind(
        "magnified",
        "magnified",
        "The view is modified (magnification); it shows a part of the breast, enlarged.",
        is_magnified,
    ),
    Kind(
        "no_standard_view",
        "of other views (ML, XCCL, rolled ...)",
        "The view is {view_position} (modifiers: {view_modifiers}); only whole CC and MLO views are analysed.",
        is_of_another_view,
    ),
    Kind(
        "image_type_unknown",
        "with an Image Type that is not known (eligibility.image_types)",
        "The Image Type {image_type} has a term that is not known here. If ordinary views of this machine have it, add "
        "the term to eligibility.image_types.",
        is_of_unknown_type,
    ),
    Kind(
        "laterality_or_view_missing",
        "without laterality or view",
        "The image does not state which breast it shows (Image Laterality is {image_laterality}), or which view. "
        "The view is {view_position}.",
        lambda facts, _, __: (facts.image_laterality, facts.view_position) not in STANDARD_VIEWS,
    ),
    Kind(
        "contradiction",
        "that contradict themselves",
        "The image contradicts itself: {contradiction}.",
        lambda facts, _, __: bool(facts.contradiction),
    ),
    Kind(
        "contrast_low_energy",
        "of low energy from contrast-enhanced mammography, which the model package does not declare",
        "The image is the low-energy exposure of a contrast-enhanced mammography, which the model package does not "
        "declare.",
        lambda facts, _, rules: is_low_energy(facts, rules) and CONTRAST_LOW_ENERGY not in rules.accepted,
    ),
    Kind(
        "synthesized",
        "synthesized from tomosynthesis, which the model package does not declare",
        "The image is synthesized from tomosynthesis, which the model package does not declare.",
        lambda facts, _, rules: is_synthesized(facts, rules) and SYNTHESIZED not in rules.accepted,
    ),
    Kind(
        "film",
        "of digitised film, which the model package does not declare",
        "The image is digitised film, which the model package does not declare.",
        lambda facts, _, rules: is_film(facts) and FILM not in rules.accepted,
    ),
    Kind(
        "conventional",
        "conventional",
        "The image is a conventional mammogram, which the model package does not declare.",
        lambda facts, _, rules: accepted_kind(facts, rules) == CONVENTIONAL and CONVENTIONAL not in rules.accepted,
    ),
    Kind(
        "demonstration_package",
        "of patients, which the demonstration package analyses only with inference.demonstration_on_patients = true",
        "The model package is a demonstration, trained on synthetic images, and this image is not a phantom that "
        "glam-node drew. Set inference.package, or set inference.demonstration_on_patients = true to try it anyway.",
        lambda facts, _, rules: rules.phantoms_only and not facts.drawn,
    ),
)


_STRUCTURAL = frozenset({"no_pixels", "laterality_or_view_missing", "contradiction"})
_SEVERAL_FRAMES = Kind(
    "several_frames",
    "of several frames",
    "The image has {number_of_frames} frames; a screening view has one.",
    lambda facts, _, __: facts.number_of_frames != 1,
)


def unreadable(facts: ImageFacts) -> Kind | None:
    """Return the kind because of which an image cannot be read as a view under any policy; None if it can be read."""
    asked = (_SEVERAL_FRAMES, *(kind for kind in KINDS if kind.rule in _STRUCTURAL))
    return next((kind for kind in asked if kind.holds(facts, "", KindPolicy())), None)


def remarks(facts: ImageFacts) -> Iterator[str]:
    """Yield remarks on an image that is analysed, for a reader of its findings."""
    if facts.partial_view:
        yield "The image is a partial view: it shows a part of the breast."
    if facts.breast_implant_present and IMPLANT_DISPLACED not in facts.view_modifiers:
        yield "The breast has an implant, and the image does not say that it was displaced."


def kind_left_out(facts: ImageFacts, sop_class_uid: str, policy: KindPolicy) -> Kind | None:
    """Return the first kind of the table that applies to the image; None for an image that may be analysed."""
    return next((kind for kind in KINDS if kind.holds(facts, sop_class_uid, policy)), None)
