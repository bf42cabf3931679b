"""What a worker needs to know of the node to run jobs."""

from collections.abc import Mapping
from dataclasses import dataclass

from glam_node.node.domain.retry import RetryPolicy
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.kinds import NOT_ANALYSED_REPORT, wanted_kinds


@dataclass(frozen=True, slots=True)
class InferenceContext:
    """The same for all jobs of one worker."""

    identity: ResultIdentity
    destinations: Mapping[str, tuple[str, ...]]
    """Which kinds of results (results.kinds.SOP_CLASSES) each destination gets, by its name."""
    fallbacks: Mapping[str, Mapping[str, str]]
    """By destination: which kind stands in for which where the destination does not accept it."""
    policy: RetryPolicy
    lease_time_s: float

    @property
    def wanted(self) -> frozenset[str]:
        """The kinds of results to make."""
        instead = [kind for kinds in self.fallbacks.values() for kind in kinds.values()]
        return wanted_kinds(self.destinations.values()).union(instead)

    @property
    def notices(self) -> bool:
        """Whether some destination wants to be told of studies without an analysis."""
        return NOT_ANALYSED_REPORT in wanted_kinds(self.destinations.values())
