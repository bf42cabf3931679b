"""The built-in rules and the rules of the site, from settings."""

from typing import TYPE_CHECKING

from glam_node.inference.card import DEFAULT_PACKAGE, ModelCard, read_card
from glam_node.inference.errors import PackageMismatch
from glam_node.kinds.facts import KindPolicy
from glam_node.node.domain.eligibility import EligibilityPolicy
from glam_node.node.domain.job import Priority
from glam_node.node.domain.prior import PriorPlan
from glam_node.node.domain.routing import Action, SiteRule
from glam_node.rules.expression import age_in_days
from glam_node.settings.inference import InferenceSettings
from glam_node.settings.rules import RuleSettings
from glam_node.settings.schema import Settings

if TYPE_CHECKING:
    from glam_node.node.workflow.assemble.rule_trial import RuleTrial


def eligibility_policy(settings: Settings) -> EligibilityPolicy:
    """Return the rules that decide which studies are analysed."""
    chosen = settings.eligibility
    return EligibilityPolicy(chosen.minimum_views, chosen.accept_implants, kind_policy(settings))


def kind_policy(settings: Settings) -> KindPolicy:
    """Return the kinds of image to analyse, from the settings and the card of the model package.

    A package that cannot be read here, because only the workers' machines have it, counts as one without a card.
    """
    card = _card(settings)
    return KindPolicy(
        accepted=card.accepted_kinds,
        descriptions=settings.eligibility.read_descriptions,
        image_types=frozenset(settings.eligibility.image_types),
        phantoms_only=card.is_demonstration and not settings.inference.demonstration_on_patients,
    )


def _card(settings: Settings) -> ModelCard:
    chosen = settings.inference
    if chosen.package is None and chosen.predictor != InferenceSettings().predictor:
        return ModelCard()
    try:
        return read_card(chosen.package or DEFAULT_PACKAGE)
    except PackageMismatch:
        return ModelCard()


def site_rules(settings: Settings) -> tuple[SiteRule, ...]:
    """Return the site's own rules, in the order of the settings file."""
    if not settings.rules:
        return ()
    # Imported here because the grammar imports pydicom, which commands do not need at a site without rules.
    from glam_node.rules.grammar import parse

    return tuple(
        SiteRule(
            name,
            parse(rule.when),
            Action(rule.then),
            rule.level == "image",
            rule.holds_for == "all",
            rule.destinations,
            None if rule.priority is None else Priority[rule.priority.upper()],
            rule.decides_about_results,
            rule.results,
            rule.hold_time,
            rule.notify,
            _prior_plan(name, rule),
        )
        for name, rule in settings.rules.items()
    )


def _prior_plan(name: str, rule: RuleSettings) -> PriorPlan | None:
    if not rule.priors:
        return None
    days = int(age_in_days(rule.priors_maximum_age))
    wait_s, analyse, send = rule.priors_wait, rule.analyse_priors, rule.send_priors
    return PriorPlan(f"rules.{name}", rule.priors_from, rule.priors, days, wait_s, analyse, send)


def rule_trial(settings: Settings) -> "RuleTrial":
    """Return all rules and the modes of the destinations, for trying the rules on files."""
    # Imported here, because the module imports code that reads images, which the processes of a node do not need.
    from glam_node.node.workflow.assemble.rule_trial import RuleTrial

    modes = {name: destination.mode for name, destination in settings.destinations.items()}
    return RuleTrial(eligibility_policy(settings), site_rules(settings), modes)
