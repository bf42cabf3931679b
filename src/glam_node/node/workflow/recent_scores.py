"""How scores lie at present, and how they lay where the package was measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import mean

from sqlalchemy.orm import Session

from glam_node.node.db import audit
from glam_node.node.observe.metrics import LEAST_ANALYSES, RECENT_ANALYSES


@dataclass(frozen=True, slots=True)
class RecentScores:
    """By class; empty while too few analyses are on record."""

    means: Mapping[str, float] = field(default_factory=dict)
    reference: Mapping[str, float] = field(default_factory=dict)
    """Of the package that made the latest, where it has some."""


def recent_scores(session: Session) -> RecentScores:
    """Of the last analyses by the present algorithm: another one's scores are not compared with its."""
    analyses = [event.detail for event in audit.recent(session, "job_succeeded", RECENT_ANALYSES)]
    told = [detail for detail in analyses if detail.get("mean_scores")]
    present = [detail for detail in told if detail["algorithm_version"] == told[0]["algorithm_version"]]
    if len(present) < LEAST_ANALYSES:
        return RecentScores()
    means = {kind: mean(one["mean_scores"][kind] for one in present) for kind in present[0]["mean_scores"]}
    return RecentScores(means, present[0].get("reference_scores", {}))
