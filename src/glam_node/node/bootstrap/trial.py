"""What is tried on files, from settings; trying reads images, which no running process does by itself."""

from glam_node.node.bootstrap.rules import eligibility_rules, site_rules
from glam_node.node.workflow.try_rules import RuleTrial
from glam_node.settings.schema import Settings


def rule_trial(settings: Settings) -> RuleTrial:
    """What is tried on files: all rules, and where results go."""
    modes = {name: destination.mode for name, destination in settings.destinations.items()}
    return RuleTrial(eligibility_rules(settings), site_rules(settings), modes)
