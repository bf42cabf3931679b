"""The rules of a site, built-in and its own, from its settings."""

from glam_node.node.domain.eligibility import EligibilityRules
from glam_node.node.domain.job import Priority
from glam_node.node.domain.routing import Action, SiteRule
from glam_node.rules.grammar import parse
from glam_node.settings.schema import Settings


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
