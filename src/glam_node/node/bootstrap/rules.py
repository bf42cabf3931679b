"""The rules of a site, built-in and its own, from its settings."""

from typing import TYPE_CHECKING

from glam_node.node.domain.eligibility import EligibilityRules
from glam_node.node.domain.job import Priority
from glam_node.node.domain.routing import Action, SiteRule
from glam_node.rules.grammar import parse
from glam_node.settings.schema import Settings

if TYPE_CHECKING:
    from glam_node.node.workflow.try_rules import RuleTrial


def eligibility_rules(settings: Settings) -> EligibilityRules:
    """Which studies are analysed."""
    return EligibilityRules(settings.eligibility.minimum_views, settings.eligibility.accept_implants)


def site_rules(settings: Settings) -> tuple[SiteRule, ...]:
    """The site's own, in the order of the file."""
    return tuple(
        SiteRule(
            name,
            parse(rule.when),
            Action(rule.then),
            rule.level == "image",
            rule.holds_for == "all",
            rule.destinations,
            None if rule.priority is None else Priority[rule.priority.upper()],
        )
        for name, rule in settings.rules.items()
    )


def rule_trial(settings: Settings) -> "RuleTrial":
    """What is tried on files: all rules, and where results go."""
    from glam_node.node.workflow.try_rules import RuleTrial

    modes = {name: destination.mode for name, destination in settings.destinations.items()}
    return RuleTrial(eligibility_rules(settings), site_rules(settings), modes)
