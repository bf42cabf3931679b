"""Builds a node from Settings: the one place that picks implementations."""

from glam_node.node.bootstrap.ground import database_trouble, prepare_root
from glam_node.node.bootstrap.model import configured_package, load_configured_predictor
from glam_node.node.bootstrap.node import Node, audiences, build_node, rebuild_node, result_identity
from glam_node.node.bootstrap.rules import eligibility_rules, rule_trial, site_rules

__all__ = [
    "Node",
    "audiences",
    "build_node",
    "configured_package",
    "database_trouble",
    "eligibility_rules",
    "load_configured_predictor",
    "prepare_root",
    "rebuild_node",
    "result_identity",
    "rule_trial",
    "site_rules",
]
