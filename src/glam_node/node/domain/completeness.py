"""Completeness: the decision whether all images of a screening study have arrived."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from glam_node.kinds.facts import CONVENTIONAL_VIEWS, KindPolicy
from glam_node.kinds.predicates import STANDARD_VIEWS, View, is_implant_displaced
from glam_node.kinds.table import kind_left_out
from glam_node.node.domain.eligibility import is_mammogram, standard_view, views_named
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.domain.study import Study


@dataclass(frozen=True, slots=True)
class AssemblyPolicy:
    """Settings of the site that decide when a study is complete; times in seconds."""

    settle_time_s: float
    """Time without new images after which a study with all four standard views is complete."""
    quiet_time_s: float
    """Time without new images after which any study is complete."""
    maximum_age_s: float
    """Time since the first image after which a study is complete even if images are still arriving."""
    confirms: bool = False
    """True if an archive is asked how many mammograms the study has."""
    kinds: KindPolicy = CONVENTIONAL_VIEWS
    """Kinds of image that are analysed."""


@dataclass(frozen=True, slots=True)
class Archived:
    """Answer of an archive about a study."""

    archive: str
    """Name of the archive in the settings."""
    images: int | None
    """Number of mammograms in the archive; None if the archive did not say."""
    received: int
    """Number of mammograms that this node had received when it asked."""

    @property
    def has_all(self) -> bool:
        """Whether the node has received exactly the mammograms of the archive, and at least one."""
        return self.images == self.received > 0

    @property
    def has_more(self) -> bool:
        """Whether the archive has mammograms that the node has not received."""
        return self.images is not None and self.images > self.received


@dataclass(frozen=True, slots=True)
class Completeness:
    """Decision whether a study is complete; rule and reason are empty if it is not."""

    complete: bool
    rule: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Facts:
    views: frozenset[View]
    silence_s: float
    age_s: float
    archived: Archived | None
    waits_for_displaced: bool
    """True if a breast has an implant and a standard view with the implant displaced is missing."""

    @property
    def archive_is_waited_for(self) -> bool:
        """Whether the archive has not been asked yet, or has mammograms that the node has not received."""
        return self.archived is None or self.archived.has_more


@dataclass(frozen=True, slots=True)
class _Rule:
    name: str
    holds: Callable[[_Facts, AssemblyPolicy], bool]
    because: str


# The first rule whose condition is met completes the study.
_RULES = (
    _Rule(
        "confirmed",
        lambda facts, policy: (
            facts.archived is not None
            and facts.archived.has_all
            and facts.silence_s >= policy.settle_time_s
            and not facts.waits_for_displaced
        ),
        "{views} received, all {images} mammograms that {archive} has",
    ),
    _Rule(
        "settle_time",
        lambda facts, policy: (
            facts.views.issuperset(STANDARD_VIEWS)
            and facts.silence_s >= policy.settle_time_s
            and not facts.waits_for_displaced
            and not (policy.confirms and facts.archive_is_waited_for)
        ),
        "{views} received, sender quiet for {silence:.0f} s",
    ),
    _Rule(
        "quiet_time",
        lambda facts, policy: facts.silence_s >= policy.quiet_time_s,
        "{views} received, sender quiet for {silence:.0f} s",
    ),
    _Rule(
        "maximum_age",
        lambda facts, policy: facts.age_s >= policy.maximum_age_s,
        "{views} received, still arriving {age:.0f} s after the first",
    ),
)


def completeness(study: Study, policy: AssemblyPolicy, now: datetime, archived: Archived | None = None) -> Completeness:
    """Return whether the study is complete at `now`, and the rule that decided.

    Args:
        study: The study with its instances.
        policy: The settings of the site.
        now: The current time.
        archived: The answer of the archive since the last instance arrived; None without one.
    """
    # Whether a study has arrived does not depend on the package: a demonstration analyses no patient, but the same
    # views are expected.
    kinds = replace(policy.kinds, phantoms_only=False)
    images = [one for one in study.instances if kind_left_out(one.attributes, one.sop_class_uid, kinds) is None]
    facts = _Facts(
        views=frozenset(standard_view(image) for image in images),
        silence_s=(now - study.last_received_at).total_seconds(),
        age_s=(now - study.receiving_since).total_seconds(),
        archived=archived,
        waits_for_displaced=bool(_displaced_views_missing(images, kinds)),
    )
    rule = next((rule for rule in _RULES if rule.holds(facts, policy)), None)
    if rule is None:
        return Completeness(False)
    reason = rule.because.format(
        views=views_named(facts.views) if images else _views_left_out(study, kinds),
        silence=facts.silence_s,
        age=facts.age_s,
        images=study.mammograms,
        archive=archived.archive if archived is not None else "",
    )
    missing = _still_missing(archived) + _without_displaced(_displaced_views_missing(images, kinds))
    return Completeness(True, rule.name, reason + missing)


def _views_left_out(study: Study, kinds: KindPolicy) -> str:
    """Return the views of all mammograms, none of which can be analysed, and the settings that leave them out."""
    mammograms = [one for one in study.instances if is_mammogram(one)]
    left_out = [kind_left_out(one.attributes, one.sop_class_uid, kinds) for one in mammograms]
    because = ", ".join(dict.fromkeys(by.rule for by in left_out if by is not None))
    return views_named(map(standard_view, mammograms)) + (f" (left out: {because})" if because else "")


def _displaced_views_missing(images: Sequence[SOPInstance], policy: KindPolicy) -> set[View]:
    """Return the views with displaced implant that are expected and have not arrived.

    Both standard views of a breast with an implant are taken twice, often those with the implant displaced last
    (Eklund's technique).
    """
    displaced = {standard_view(image) for image in images if is_implant_displaced(image.attributes, policy)}
    declared = {image.attributes.image_laterality for image in images if image.attributes.breast_implant_present}
    breasts = declared | {laterality for laterality, _ in displaced}
    return {view for view in STANDARD_VIEWS if view[0] in breasts} - displaced


def _without_displaced(missing: set[View]) -> str:
    return f"; no view with the implant displaced of {views_named(missing)}" if missing else ""


def _still_missing(archived: Archived | None) -> str:
    if archived is None or not archived.has_more:
        return ""
    return f"; {archived.archive} has {archived.images} mammograms, {archived.received} were received"
