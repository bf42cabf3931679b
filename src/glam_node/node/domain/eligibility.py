"""Which studies are analysed, which of their images, and why the others are not."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from glam_node.node.domain.instance import SOPInstance
from glam_node.node.domain.one_person import TWO_PATIENTS, TWO_STUDIES, Difference, difference_among
from glam_node.node.domain.study import Study

View = tuple[str, str]
"""Image Laterality and View Position."""

# In the order in which people name and hang them
STANDARD_VIEWS: tuple[View, ...] = (("R", "CC"), ("L", "CC"), ("R", "MLO"), ("L", "MLO"))

# PS3.16 CID 4015: with these modifiers a CC or MLO still shows the whole breast as screening does
STANDARD_VIEW_MODIFIERS = frozenset(
    {"implant_displaced", "nipple_in_profile", "infra_mammary_fold", "anterior_compression"}
)
IMPLANT_DISPLACED = "implant_displaced"

# PS3.4 Table B.5-1: Secondary Capture and its multi-frame kin; Breast Tomosynthesis
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
BREAST_TOMOSYNTHESIS = "1.2.840.10008.5.1.4.1.1.13.1.3"


# A study that is left out for these gets no report in the archive, which would have to name one of two patients.
UNSPOKEN = frozenset({TWO_PATIENTS, TWO_STUDIES})


@dataclass(frozen=True, slots=True)
class EligibilityRules:
    """What the site decided."""

    minimum_views: int
    """How many of the four standard views a study needs."""
    accept_implants: bool


@dataclass(frozen=True, slots=True)
class Eligibility:
    """The judgement on a study."""

    eligible: bool
    rule: str
    """Name of the rule that decided."""
    reason: str
    """The same in plain words, with the facts."""
    instances: tuple[SOPInstance, ...]
    """The images to analyse, in an order that does not depend on their arrival; empty when not eligible."""


@dataclass(frozen=True, slots=True)
class Exclusion:
    """One reason to leave an image out."""

    rule: str
    applies: Callable[[SOPInstance], bool]
    phrase: str
    """Completes "4 images ..."."""


def is_mammogram(instance: SOPInstance) -> bool:
    """Whether it can change the judgement on its study; SR, SEG and presentation states, ours included, cannot."""
    return instance.attributes.modality == "MG"


def standard_view(instance: SOPInstance) -> View:
    """Laterality and view that the image states."""
    return instance.attributes.image_laterality, instance.attributes.view_position


def views_named(views: Iterable[View]) -> str:
    """For people: "R CC, L CC", in the usual order, or "no standard view"."""
    present = set(views)
    return ", ".join(f"{side} {view}" for side, view in STANDARD_VIEWS if (side, view) in present) or "no standard view"


def _is_of_tomosynthesis(instance: SOPInstance) -> bool:
    """Slices, projections, and two-dimensional images computed from them, which the model has not learned from."""
    attributes = instance.attributes
    return (
        instance.sop_class_uid == BREAST_TOMOSYNTHESIS
        or attributes.number_of_frames != 1
        or any("TOMO" in value or value == "GENERATED_2D" for value in attributes.image_type)
    )


def _is_of_another_view(instance: SOPInstance) -> bool:
    attributes = instance.attributes
    return attributes.view_position not in ("", "CC", "MLO") or not STANDARD_VIEW_MODIFIERS.issuperset(
        attributes.view_modifiers
    )


def _has_implant(instance: SOPInstance) -> bool:
    return instance.attributes.breast_implant_present or _is_implant_displaced(instance)


def _is_implant_displaced(instance: SOPInstance) -> bool:
    return IMPLANT_DISPLACED in instance.attributes.view_modifiers


# From what has nothing to do with us to what is almost a screening view: the first that applies tells why an image is
# left out, the last one in the table among a study's images tells why the study is.
EXCLUSIONS: tuple[Exclusion, ...] = (
    Exclusion("no_mammography", lambda instance: not is_mammogram(instance), "not of mammography"),
    Exclusion(
        "secondary_capture",
        lambda instance: f"{instance.sop_class_uid}.".startswith(f"{SECONDARY_CAPTURE}."),
        "secondary captures",
    ),
    Exclusion("specimen", lambda instance: instance.attributes.specimen, "of a specimen"),
    Exclusion("stereotactic", lambda instance: instance.attributes.stereotactic, "made for a biopsy"),
    Exclusion("tomosynthesis_only", _is_of_tomosynthesis, "of tomosynthesis"),
    Exclusion(
        "for_processing_only",
        lambda instance: instance.attributes.presentation_intent_type == "FOR PROCESSING",
        "for processing",
    ),
    Exclusion(
        "presentation_intent_missing",
        lambda instance: instance.attributes.presentation_intent_type != "FOR PRESENTATION",
        "not said to be for presentation",
    ),
    Exclusion(
        "no_pixels", lambda instance: min(instance.attributes.rows, instance.attributes.columns) < 1, "without pixels"
    ),
    Exclusion("no_standard_view", _is_of_another_view, "of other views (spot, magnification, ML ...)"),
    Exclusion(
        "laterality_or_view_missing",
        lambda instance: standard_view(instance) not in STANDARD_VIEWS,
        "without laterality or view",
    ),
    Exclusion("contradiction", lambda instance: bool(instance.attributes.contradiction), "that contradict themselves"),
)
IMPLANTS = Exclusion("implants", _has_implant, "of breasts with implants")


def exclusion_of(instance: SOPInstance) -> Exclusion | None:
    """Why the image is not analysed; None for a standard screening view for presentation."""
    return next((exclusion for exclusion in EXCLUSIONS if exclusion.applies(instance)), None)


def judge(study: Study, rules: EligibilityRules, also: tuple[Exclusion, ...] = ()) -> Eligibility:
    """Whether the study is analysed, with which images, and by which rule; `also` are asked of what is left."""
    excluded: Counter[Exclusion] = Counter()
    images: list[SOPInstance] = []
    for instance in study.instances:
        exclusion = exclusion_of(instance)
        if exclusion is None and not rules.accept_implants and _has_implant(instance):
            exclusion = IMPLANTS
        exclusion = exclusion or next((one for one in also if one.applies(instance)), None)
        if exclusion is None:
            images.append(instance)
        else:
            excluded[exclusion] += 1
    return _judge_images(images, excluded, rules.minimum_views, (*EXCLUSIONS, IMPLANTS, *also))


def _judge_images(
    images: list[SOPInstance], excluded: Counter[Exclusion], minimum_views: int, order: Sequence[Exclusion]
) -> Eligibility:
    left_out = ", ".join(f"{count} {exclusion.phrase}" for exclusion, count in excluded.items())
    if not images:
        nearest = max(excluded, key=order.index)
        return Eligibility(False, nearest.rule, f"no image can be analysed: {left_out}", ())
    apart = _difference_among(images)
    if apart is not None:
        return Eligibility(False, apart.rule, f"the {len(images)} images do not belong together: {apart.reason}", ())
    views = {standard_view(image) for image in images}
    if len(views) < minimum_views:
        reason = f"{len(views)} of the standard views ({views_named(views)}), {minimum_views} needed"
        return Eligibility(False, "too_few_views", _with_left_out(reason, left_out), ())
    chosen = _without_undisplaced_implants(images)
    reason = f"{len(chosen)} images to analyse: {views_named(views)}"
    return Eligibility(True, "screening_views", _with_left_out(reason, left_out), chosen)


def _difference_among(images: Sequence[SOPInstance]) -> Difference | None:
    """Only images that would be analysed decide: results that come back under another Patient ID do not."""
    strangers = sum(image.identity is None and image.attributes.patient_mismatch for image in images)
    if strangers:
        return Difference(TWO_PATIENTS, f"{strangers} of them carry another Patient ID than the first")
    return difference_among(image.identity for image in images if image.identity is not None)


def _with_left_out(reason: str, left_out: str) -> str:
    return f"{reason}; left out: {left_out}" if left_out else reason


def _without_undisplaced_implants(images: Sequence[SOPInstance]) -> tuple[SOPInstance, ...]:
    """Where a view was taken with the implant displaced, the one full of implant is left out; retakes all stay."""
    displaced = {standard_view(image) for image in images if _is_implant_displaced(image)}
    chosen = [image for image in images if _is_implant_displaced(image) or standard_view(image) not in displaced]
    return tuple(sorted(chosen, key=lambda image: (STANDARD_VIEWS.index(standard_view(image)), image.sop_instance_uid)))
