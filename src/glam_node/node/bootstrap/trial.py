"""Rules to try on files, from settings. This module imports the reading of images, which the receiver does not need."""

from glam_node.node.bootstrap.rules import eligibility_rules, site_rules
from glam_node.node.workflow.assemble.rule_trial import RuleTrial
from glam_node.settings.schema import Settings


def rule_trial(settings: Settings) -> RuleTrial:
    """Return all rules and the modes of the destinations, to be tried on files."""
    modes = {name: destination.mode for name, destination in settings.destinations.items()}
    return RuleTrial(eligibility_rules(settings), site_rules(settings), modes)
