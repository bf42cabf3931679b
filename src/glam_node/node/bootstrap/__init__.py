"""Construction of a node from settings: the only place that chooses implementations.

Each module is imported only when one of its names is first used, to save memory: the receiver needs few modules.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glam_node.node.bootstrap.alerts import alert_channels
    from glam_node.node.bootstrap.base_node import BaseNode, database_trouble, prepare_root
    from glam_node.node.bootstrap.model import configured_package, load_configured_predictor
    from glam_node.node.bootstrap.node import Node, audiences, build_node, result_identity
    from glam_node.node.bootstrap.receiving import ReceivingNode, build_receiving_node
    from glam_node.node.bootstrap.rules import eligibility_policy, kind_policy, rule_trial, site_rules
    from glam_node.node.bootstrap.sources import built_source, prior_source, recorded_source, study_fetcher

_MODULE_OF = {
    "BaseNode": "base_node",
    "Node": "node",
    "ReceivingNode": "receiving",
    "alert_channels": "alerts",
    "audiences": "node",
    "build_node": "node",
    "build_receiving_node": "receiving",
    "built_source": "sources",
    "configured_package": "model",
    "database_trouble": "base_node",
    "eligibility_policy": "rules",
    "kind_policy": "rules",
    "load_configured_predictor": "model",
    "prepare_root": "base_node",
    "prior_source": "sources",
    "recorded_source": "sources",
    "result_identity": "node",
    "rule_trial": "rules",
    "site_rules": "rules",
    "study_fetcher": "sources",
}

__all__ = [
    "BaseNode",
    "Node",
    "ReceivingNode",
    "alert_channels",
    "audiences",
    "build_node",
    "build_receiving_node",
    "built_source",
    "configured_package",
    "database_trouble",
    "eligibility_policy",
    "kind_policy",
    "load_configured_predictor",
    "prepare_root",
    "prior_source",
    "recorded_source",
    "result_identity",
    "rule_trial",
    "site_rules",
    "study_fetcher",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
