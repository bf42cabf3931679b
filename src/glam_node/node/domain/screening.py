"""When a screening study is whole, and why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from glam_node.kinds.facts import CONVENTIONAL_VIEWS, KindRules
from glam_node.kinds.predicates import STANDARD_VIEWS, View, is_implant_displaced
from glam_node.kinds.table import kind_left_out
from glam_node.node.domain.eligibility import standard_view, views_named
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.domain.study import Study


@dataclass(frozen=True, slots=True)
class AssemblyRules:
    """How long to wait for more."""

    settle_time_s: float
    """Silence after which a study with all four standard views is complete."""
    quiet_time_s: float
    """Silence after which any study is complete."""
    maximum_age_s: float
    """Time since it began to arrive after which a study is complete even if more keeps coming."""
    confirms: bool = False
    """An archive is asked how many images there are: all are here, or some are missing, whatever their views."""
    kinds: KindRules = CONVENTIONAL_VIEWS
    """Which kinds of image are analysed."""


@dataclass(frozen=True, slots=True)
class Archived:
    """What an archive said of a study."""

    archive: str
    """Its name in the settings."""
    images: int | None
    """How many mammograms it has; None: it did not say."""
    received: int
    """How many were here when it was asked."""

    @property
    def has_all(self) -> bool:
        """Whether it has just what is here, and there is something."""
        return self.images == self.received > 0

    @property
    def has_more(self) -> bool:
        """Whether some are missing here."""
        return self.images is not None and self.images > self.received


@dataclass(frozen=True, slots=True)
class Completeness:
    """Whether to wait for more; rule and reason are empty while we do."""

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
    """Whether a breast has an implant and its two views with the implant displaced are not there yet."""

    @property
    def archive_is_waited_for(self) -> bool:
        """Whether the archive is still to be asked, or has more than we."""
        return self.archived is None or self.archived.has_more


@dataclass(frozen=True, slots=True)
class _Rule:
    name: str
    holds: Callable[[_Facts, AssemblyRules], bool]
    because: str


# The first that holds completes the study.
_RULES = (
    _Rule(
        "confirmed",
        lambda facts, rules: (
            facts.archived is not None
            and facts.archived.has_all
            and facts.silence_s >= rules.settle_time_s
            and not facts.waits_for_displaced
        ),
        "{views} received, all {images} mammograms that {archive} has",
    ),
    _Rule(
        "settle_time",
        lambda facts, rules: (
            facts.views.issuperset(STANDARD_VIEWS)
            and facts.silence_s >= rules.settle_time_s
            and not facts.waits_for_displaced
            and not (rules.confirms and facts.archive_is_waited_for)
        ),
        "{views} received, sender quiet for {silence:.0f} s",
    ),
    _Rule(
        "quiet_time",
        lambda facts, rules: facts.silence_s >= rules.quiet_time_s,
        "{views} received, sender quiet for {silence:.0f} s",
    ),
    _Rule(
        "maximum_age",
        lambda facts, rules: facts.age_s >= rules.maximum_age_s,
        "{views} received, still arriving {age:.0f} s after the first",
    ),
)


def completeness(study: Study, rules: AssemblyRules, now: datetime, archived: Archived | None = None) -> Completeness:
    """Whether the study is whole by `now`, and the rule that says so; `archived` since its last instance came."""
    images = [one for one in study.instances if kind_left_out(one.attributes, one.sop_class_uid, rules.kinds) is None]
    facts = _Facts(
        views=frozenset(standard_view(image) for image in images),
        silence_s=(now - study.last_received_at).total_seconds(),
        age_s=(now - study.receiving_since).total_seconds(),
        archived=archived,
        waits_for_displaced=bool(_displaced_views_missing(images, rules.kinds)),
    )
    rule = next((rule for rule in _RULES if rule.holds(facts, rules)), None)
    if rule is None:
        return Completeness(False)
    reason = rule.because.format(
        views=views_named(facts.views),
        silence=facts.silence_s,
        age=facts.age_s,
        images=study.mammograms,
        archive=archived.archive if archived is not None else "",
    )
    missing = _still_missing(archived) + _without_displaced(_displaced_views_missing(images, rules.kinds))
    return Completeness(True, rule.name, reason + missing)


def _displaced_views_missing(images: Sequence[SOPInstance], rules: KindRules) -> set[View]:
    """Return the views with the implant displaced that are expected and not there.

    Of each breast for which an image says that it has an implant, both standard views are taken twice, and those with
    the implant displaced often come last (Eklund's technique).
    """
    displaced = {standard_view(image) for image in images if is_implant_displaced(image.attributes, rules)}
    declared = {image.attributes.image_laterality for image in images if image.attributes.breast_implant_present}
    breasts = declared | {laterality for laterality, _ in displaced}
    return {view for view in STANDARD_VIEWS if view[0] in breasts} - displaced


def _without_displaced(missing: set[View]) -> str:
    return f"; no view with the implant displaced of {views_named(missing)}" if missing else ""


def _still_missing(archived: Archived | None) -> str:
    if archived is None or not archived.has_more:
        return ""
    return f"; {archived.archive} has {archived.images} mammograms, {archived.received} came"
