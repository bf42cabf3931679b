"""Routing rules of a site: the choice of the studies to analyse, and of the destinations of their results."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

from glam_node.node.domain.eligibility import (
    RULES_WITHOUT_NOTICE,
    Eligibility,
    EligibilityPolicy,
    Exclusion,
    judge,
    standard_view,
)
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.domain.job import Priority, Routing
from glam_node.node.domain.prior import PriorPlan
from glam_node.node.domain.study import Study
from glam_node.rules.expression import Expression, Value, Values, holds, same_text

LONGEST_SHOWN = 200
"""Maximum number of characters of an expression that a reason quotes."""

Headers = Mapping[str, Mapping[str, tuple[Value, ...]]]
"""Values of the header fields that rules ask about, by SOP Instance UID and field name."""


class Action(StrEnum):
    """Action of a rule on a study."""

    ANALYSE = "analyse"
    IGNORE = "ignore"
    SHADOW = "shadow"
    """The study is analysed and its results are not sent."""
    DRY_RUN = "dry_run"
    """The study is not analysed; the decision is only recorded."""
    HOLD = "hold"
    """The study is analysed, and held with its results until it is released."""


@dataclass(frozen=True, slots=True)
class SiteRule:
    """Routing rule of a site."""

    name: str
    when: Expression
    action: Action = Action.ANALYSE
    of_images: bool = False
    """True if the rule leaves out images instead of deciding about studies."""
    for_all: bool = False
    """True if the expression must hold for all images of a study; else one image is enough."""
    destinations: tuple[str, ...] | None = None
    """Names of the destinations; None for all."""
    priority: Priority | None = None
    """Priority of the job, or of the results if the rule is about them; None for the priority of the sender."""
    of_results: bool = False
    """True if the rule is evaluated after the analysis."""
    results: tuple[str, ...] | None = None
    """Kinds of results, of those that a destination asks for; None for all."""
    hold_time_s: float | None = None
    """Seconds after which a held study is released; None if a person releases it."""
    notify: bool = False
    """True if a message about the study is sent to the channels of alerts."""
    priors: PriorPlan | None = None
    """Prior exams that the analysis waits for; None if it waits for none."""

    @property
    def title(self) -> str:
        """Key of the rule in the settings, as the database records it."""
        return f"rules.{self.name}"

    @property
    def condition(self) -> str:
        """Expression of the rule, cut to LONGEST_SHOWN characters."""
        text = str(self.when)
        return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


@dataclass(frozen=True, slots=True)
class Decision:
    """Decision about a study."""

    eligibility: Eligibility
    routing: Routing = field(default_factory=Routing)
    priority: Priority | None = None
    """Priority of the job; None for the priority of the sender."""
    action: Action = Action.ANALYSE
    priors: PriorPlan | None = None
    """Prior exams that the analysis waits for; None if it waits for none."""
    is_context: bool = False
    """True if the study was fetched only as a prior exam of another, so that nothing about it is sent."""

    @property
    def allows_notice(self) -> bool:
        """Whether a notice about the study may go to destinations that accept notices."""
        if self.is_context or self.action is Action.DRY_RUN:
            return False
        return self.eligibility.rule not in RULES_WITHOUT_NOTICE


def decide(study: Study, policy: EligibilityPolicy, site: tuple[SiteRule, ...], headers: Headers) -> Decision:
    """Return the decision about a study.

    The built-in eligibility rules are applied first, then the site's rules for images, then the first of the site's
    rules for studies whose expression holds.

    Args:
        study: The study with its instances.
        policy: The settings of the built-in eligibility rules.
        site: The routing rules of the site, in their order.
        headers: The header fields that `site` asks about.
    """
    judged = judge(study, policy)
    if not judged.eligible:
        return Decision(judged, action=Action.IGNORE)
    left_out = exclusions(site, judged, headers)
    if left_out:
        judged = judge(study, policy, left_out)
        if not judged.eligible:
            return Decision(judged, action=Action.IGNORE)
    found = _first_that_holds((rule for rule in site if not rule.of_images and not rule.of_results), judged, headers)
    return Decision(judged) if found is None else _decided(found[0], judged, found[1])


def as_prior(decision: Decision, plan: PriorPlan) -> Decision:
    """Return the decision about a study that was fetched as a prior exam by this plan.

    Its own prior exams are not fetched. Unless the plan sends it, its results go to nobody.
    """
    decision = replace(decision, priors=None)
    judged = decision.eligibility
    if plan.send:
        return decision
    if not judged.eligible:
        return replace(decision, is_context=True)
    reason = f"fetched as a prior exam of another study; {judged.reason}"
    if not plan.analyse:
        left_out = Eligibility(False, plan.rule, f"{reason}; the rule analyses no prior exams", (), judged.left_out)
        return Decision(left_out, action=Action.IGNORE, is_context=True)
    judged = replace(judged, rule=plan.rule, reason=f"{reason}; its results go to nobody")
    return Decision(judged, Routing(plan.rule, destinations=()), is_context=True)


@dataclass(frozen=True, slots=True)
class ResultDecision:
    """Decision of a rule about the results of a study."""

    rule: SiteRule
    reason: str

    def routing(self, before: Routing) -> Routing:
        """Return the routing of the results, which keeps a shadow, and the destinations if the rule names none."""
        destinations = before.destinations if self.rule.destinations is None else self.rule.destinations
        shadow = before.shadow or self.rule.action is Action.SHADOW
        return Routing(self.rule.title, shadow, destinations, self.rule.results, self.rule.priority)

    def held_until(self, now: datetime) -> datetime | None:
        """Return the time at which a held study is released; None if a person releases it."""
        seconds = self.rule.hold_time_s
        return None if seconds is None else now + timedelta(seconds=seconds)


def decide_on_results(
    instances: Sequence[SOPInstance], site: Iterable[SiteRule], values: Headers
) -> ResultDecision | None:
    """Return the decision of the first rule about results whose expression holds, or None if none holds.

    Args:
        instances: The images of the analysis.
        site: The routing rules of the site, in their order.
        values: The header fields and the facts of the analysis that `site` asks about, by SOP Instance UID.
    """
    judged = Eligibility(True, "", "", tuple(instances), {})
    found = _first_that_holds((rule for rule in site if rule.of_results), judged, values)
    if found is None:
        return None
    rule, count = found
    matches = f"{rule.condition} holds for {count} of {len(instances)} images"
    return ResultDecision(rule, f"{matches}; {_outcome_of_results(rule)}")


def _outcome_of_results(rule: SiteRule) -> str:
    goes_to = "" if rule.destinations is None else f" go to {', '.join(rule.destinations)}"
    kinds = "" if rule.results is None else f" as {', '.join(rule.results)}"
    if rule.action is Action.SHADOW:
        return "in shadow, nothing is sent"
    later = "" if rule.hold_time_s is None else f"after {rule.hold_time_s:g} s, or "
    held = f" {later}when a person releases the study" if rule.action is Action.HOLD else ""
    urgency = "" if rule.priority is None else f" with priority {rule.priority.name.lower()}"
    return f"the results{goes_to or ' are sent'}{kinds}{urgency}{held}"


def _first_that_holds(rules: Iterable[SiteRule], judged: Eligibility, headers: Headers) -> tuple[SiteRule, int] | None:
    """Return the first rule that holds, and the number of images for which its expression does."""
    for rule in rules:
        count = _count(rule, judged, headers)
        if count == len(judged.instances) or (count and not rule.for_all):
            return rule, count
    return None


def exclusions(site: tuple[SiteRule, ...], judged: Eligibility, headers: Headers) -> tuple[Exclusion, ...]:
    """Return the site's rules for images, as exclusions for a study that is eligible without them."""
    return tuple(
        Exclusion(rule.title, partial(_applies, rule, judged, headers), f"that {rule.title} leaves out")
        for rule in site
        if rule.of_images
    )


def image_values(instance: SOPInstance, judged: Eligibility, headers: Headers) -> Values:
    """Return a function that looks up the fields of an expression for one image and its study."""
    attributes = instance.attributes
    known: dict[str, tuple[Value, ...]] = {
        "calling_ae_title": _texts(instance.calling_ae_title),
        "image_laterality": _texts(attributes.image_laterality),
        "view_position": _texts(attributes.view_position),
        "view_modifiers": _texts(*attributes.view_modifiers),
        "standard_views": (float(len({standard_view(image) for image in judged.instances})),),
        "images": (float(len(judged.instances)),),
        **headers.get(instance.sop_instance_uid, {}),
    }
    return lambda name: known.get(name, ())


def _texts(*stated: str) -> tuple[Value, ...]:
    return tuple(same_text(one) for one in stated if one.strip())


def _applies(rule: SiteRule, judged: Eligibility, headers: Headers, instance: SOPInstance) -> bool:
    return holds(rule.when, image_values(instance, judged, headers))


def _count(rule: SiteRule, judged: Eligibility, headers: Headers) -> int:
    return sum(_applies(rule, judged, headers, instance) for instance in judged.instances)


def _decided(rule: SiteRule, judged: Eligibility, count: int) -> Decision:
    images = len(judged.instances)
    matches = f"{rule.condition} holds for {count} of {images} images"
    goes_to = "all destinations" if rule.destinations is None else ", ".join(rule.destinations)
    if rule.action is Action.IGNORE:
        return Decision(Eligibility(False, rule.title, matches, (), judged.left_out), action=rule.action)
    if rule.action is Action.DRY_RUN:
        reason = f"{matches}; dry run: {images} images would be analysed, the results sent to {goes_to}"
        return Decision(Eligibility(False, rule.title, reason, (), judged.left_out), action=rule.action)
    shadow = rule.action is Action.SHADOW
    not_to = "" if rule.destinations is None else f" to {goes_to}"
    outcome = f"in shadow, nothing is sent{not_to}" if shadow else f"the results go to {goes_to}"
    waits = "" if rule.priors is None else f"; before its analysis it gets {rule.priors}"
    reason = f"{matches}; {outcome}{waits}; {judged.reason}"
    return Decision(
        Eligibility(True, rule.title, reason, judged.instances, judged.left_out),
        Routing(rule.title, shadow, rule.destinations),
        rule.priority,
        rule.action,
        rule.priors,
    )
