"""Mean scores of recent analyses, and the reference scores of the model package."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import mean

from sqlalchemy.orm import Session

from glam_node.node.db import audit, priors
from glam_node.node.domain.event import EventKind
from glam_node.node.observe.metrics import LEAST_ANALYSES, RECENT_ANALYSES


@dataclass(frozen=True, slots=True)
class RecentScores:
    """Scores by class (benign, malignant); empty while too few analyses are recorded."""

    means: Mapping[str, float] = field(default_factory=dict)
    reference: Mapping[str, float] = field(default_factory=dict)
    """Reference scores of the package that made the latest analysis; empty if it states none."""


def recent_scores(session: Session) -> RecentScores:
    """Return the scores of the last RECENT_ANALYSES analyses, counting only those of the current algorithm.

    Prior exams do not count: they are older, and of patients who come again.
    """
    newest = audit.recent(session, EventKind.JOB_SUCCEEDED, RECENT_ANALYSES, priors.fetched_studies())
    analyses = [event.detail for event in newest]
    with_scores = [detail for detail in analyses if detail.get("mean_scores")]
    present = [detail for detail in with_scores if detail["algorithm_version"] == with_scores[0]["algorithm_version"]]
    if len(present) < LEAST_ANALYSES:
        return RecentScores()
    means = {kind: mean(one["mean_scores"][kind] for one in present) for kind in present[0]["mean_scores"]}
    return RecentScores(means, present[0].get("reference_scores", {}))
