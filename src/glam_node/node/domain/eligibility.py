"""Eligibility: the choice of the studies and images to analyse, with a reason for each that is left out."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from glam_node.kinds.facts import CONVENTIONAL_VIEWS, DECLARABLE_KINDS, KindPolicy
from glam_node.kinds.predicates import STANDARD_VIEWS, View, accepted_kind, is_implant_displaced
from glam_node.kinds.table import KINDS, kind_left_out
from glam_node.node.domain.identity_comparison import TWO_PATIENTS, TWO_STUDIES, Difference, difference_among
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.domain.study import Study
from glam_node.node.domain.words import counted

RULES_WITHOUT_NOTICE = frozenset({TWO_PATIENTS, TWO_STUDIES})
"""Rules that leave out a study without a report to the archive, as a report would have to name one of two patients."""


@dataclass(frozen=True, slots=True)
class EligibilityPolicy:
    """Settings of the site that decide which studies are eligible."""

    minimum_views: int
    """Number of the four standard views that a study needs."""
    accept_implants: bool
    kinds: KindPolicy = CONVENTIONAL_VIEWS
    """Kinds of image that are analysed."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Reason why one image of a study is not analysed."""

    rule: str
    phrase: str
    """Phrase that completes "4 images ..."."""
    reason: str
    """Reason for the one image, as a sentence."""


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Judgement on a study."""

    eligible: bool
    rule: str
    """Name of the rule that decided."""
    reason: str
    """Explanation in plain words, with the facts."""
    instances: tuple[SOPInstance, ...]
    """Images to analyse, in an order that does not depend on their arrival; empty if the study is not eligible."""
    left_out: Mapping[str, LeftOut] = field(default_factory=dict)
    """Reason for each image that is not analysed, by SOP Instance UID."""


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Rule of the site that leaves images out."""

    rule: str
    applies: Callable[[SOPInstance], bool]
    phrase: str
    """Phrase that completes "4 images ..."."""


def is_mammogram(instance: SOPInstance) -> bool:
    """Return whether the instance is a mammogram; only mammograms can change the decision on a study."""
    return instance.attributes.modality == "MG"


def standard_view(instance: SOPInstance) -> View:
    """Return the laterality and view that the image states."""
    return instance.attributes.image_laterality, instance.attributes.view_position


def views_named(views: Iterable[View]) -> str:
    """Return the views as text in their usual order, such as "R CC, L CC", or "no standard view"."""
    present = set(views)
    return ", ".join(f"{side} {view}" for side, view in STANDARD_VIEWS if (side, view) in present) or "no standard view"


def image_left_out(instance: SOPInstance, policy: EligibilityPolicy) -> LeftOut | None:
    """Return why the image, judged by itself, is not analysed; None for a screening view."""
    facts = instance.attributes
    kind = kind_left_out(facts, instance.sop_class_uid, policy.kinds)
    if kind is not None:
        return LeftOut(kind.rule, kind.phrase, kind.reason(facts))
    if not policy.accept_implants and (facts.breast_implant_present or is_implant_displaced(facts, policy.kinds)):
        return _IMPLANTS
    return None


_IMPLANTS = LeftOut(
    "implants",
    "of breasts with implants",
    "The image is of a breast with an implant, which eligibility.accept_implants leaves out.",
)
_ANOTHER_IMAGE = LeftOut(
    "another_image",
    "of views that another image shows better",
    "Another image of this view is better: conventional, whole, or with the implant displaced.",
)
_NO_MAMMOGRAMS = frozenset({"no_mammography", "secondary_capture", "other_class", "phantom"})
_MOSAIC = LeftOut(
    "mosaic",
    "that each show a part of one view",
    "The view is in several partial images, none of which shows the whole breast; a score for each would count as one "
    "for the whole.",
)
# Rules sorted from images least like a screening view to images most like one. If a study has no image to analyse, the
# last rule in this order that left out an image is given as the reason.
_ORDER = (*(kind.rule for kind in KINDS), _IMPLANTS.rule, _ANOTHER_IMAGE.rule, _MOSAIC.rule)


def judge(study: Study, policy: EligibilityPolicy, also: tuple[Exclusion, ...] = ()) -> Eligibility:
    """Judge whether the study is analysed and with which images, and name the rule that decided.

    Args:
        study: The study with its instances.
        policy: The settings of the site.
        also: Further rules that leave out images which the built-in rules accept.
    """
    if not study.instances:
        return Eligibility(False, "no_images", "the node no longer has any image of the study", (), {})
    left_out: dict[str, LeftOut] = {}
    images: list[SOPInstance] = []
    for instance in study.instances:
        by = image_left_out(instance, policy) or _left_out_by_the_site(instance, also)
        if by is None:
            images.append(instance)
        else:
            left_out[instance.sop_instance_uid] = by
    apart = _difference_among(images)
    if apart is not None:
        reason = f"the {len(images)} images do not belong together: {apart.reason}"
        return Eligibility(False, apart.rule, reason, (), left_out)
    for group in _by_view(images).values():
        left_out.update(_superseded(group, policy.kinds))
    chosen = [image for image in images if image.sop_instance_uid not in left_out]
    judged = _judge_images(chosen, left_out, policy, also)
    return replace(judged, reason=judged.reason + _strangers_left_out(study.instances, images, left_out))


def _strangers_left_out(
    instances: Sequence[SOPInstance], images: Sequence[SOPInstance], left_out: Mapping[str, LeftOut]
) -> str:
    """Return a remark if a mammogram that is left out states another patient or study; otherwise an empty string.

    Such an image does not stop the study, because it is not analysed. Results and captures that come back from an
    archive under a coerced Patient ID are not mammograms and are not compared.
    """
    others = [
        one
        for one in instances
        if one.sop_instance_uid in left_out and left_out[one.sop_instance_uid].rule not in _NO_MAMMOGRAMS
    ]
    if not images or not others or _difference_among([*images, *others]) is None:
        return ""
    return "; an image that is left out states another patient or study: compare the images in the archive"


def _left_out_by_the_site(instance: SOPInstance, also: Sequence[Exclusion]) -> LeftOut | None:
    by = next((one for one in also if one.applies(instance)), None)
    return None if by is None else LeftOut(by.rule, by.phrase, f"{by.rule} leaves the image out.")


def _judge_images(
    images: list[SOPInstance], left_out: Mapping[str, LeftOut], policy: EligibilityPolicy, also: Sequence[Exclusion]
) -> Eligibility:
    counts = Counter(one.phrase for one in left_out.values())
    others = ", ".join(f"{count} {phrase}" for phrase, count in counts.items())
    if not images:
        if not left_out:
            return Eligibility(False, "no_image", "no image can be analysed: none is recorded", ())
        order = (*_ORDER, *(one.rule for one in also))
        nearest = max((one.rule for one in left_out.values()), key=order.index)
        return Eligibility(False, nearest, f"no image can be analysed: {others}", (), left_out)
    views = {standard_view(image) for image in images}
    if len(views) < policy.minimum_views:
        reason = f"{len(views)} of the standard views ({views_named(views)}), {policy.minimum_views} needed"
        return Eligibility(False, "too_few_views", _with_left_out(reason, others), (), left_out)
    ordered = sorted(images, key=lambda image: (STANDARD_VIEWS.index(standard_view(image)), image.sop_instance_uid))
    reason = f"{counted(len(images), 'image')} to analyse: {views_named(views)}{_with_several(images)}"
    return Eligibility(True, "screening_views", _with_left_out(reason, others), tuple(ordered), left_out)


def _difference_among(images: Sequence[SOPInstance]) -> Difference | None:
    """Return the difference between persons or studies among images that would be analysed; None for no difference."""
    strangers = sum(image.identity is None and image.attributes.patient_mismatch for image in images)
    if strangers:
        return Difference(TWO_PATIENTS, f"{strangers} of them with another Patient ID than the first")
    return difference_among(image.identity for image in images if image.identity is not None)


def _with_several(images: Sequence[SOPInstance]) -> str:
    """Return a remark on views with several images, each of which counts in the mean score of the breast."""
    several = [view for view, group in _by_view(images).items() if len(group) > 1]
    if not several:
        return ""
    return f"; several images of {views_named(several)} (retakes, or an implant that is not declared)"


def _with_left_out(reason: str, left_out: str) -> str:
    return f"{reason}; left out: {left_out}" if left_out else reason


def _by_view(images: Sequence[SOPInstance]) -> dict[View, list[SOPInstance]]:
    groups: dict[View, list[SOPInstance]] = {}
    for image in images:
        groups.setdefault(standard_view(image), []).append(image)
    return groups


def _superseded(images: Sequence[SOPInstance], policy: KindPolicy) -> dict[str, LeftOut]:
    """Return the images of one view that are left out in favour of better ones, by SOP Instance UID.

    Retakes of the same kind are all kept. A single partial image is kept, since nothing else shows the view; several
    partial images are a mosaic and left out, because each would count as a whole breast.
    """
    best = min(DECLARABLE_KINDS.index(accepted_kind(image.attributes, policy)) for image in images)
    of_best_kind = [image for image in images if accepted_kind(image.attributes, policy) == DECLARABLE_KINDS[best]]
    displaced = [image for image in of_best_kind if is_implant_displaced(image.attributes, policy)]
    kept = displaced or of_best_kind
    whole = [image for image in kept if not image.attributes.partial_view]
    if not whole and len(kept) > 1:
        return {image.sop_instance_uid: _MOSAIC if image in kept else _ANOTHER_IMAGE for image in images}
    kept = whole or kept
    return {image.sop_instance_uid: _ANOTHER_IMAGE for image in images if image not in kept}
