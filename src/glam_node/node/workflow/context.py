"""What a worker needs to know of the node to run jobs."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from glam_node.node.domain.retry import RetryPolicy
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.kinds import NOT_ANALYSED_REPORT, wanted_kinds


@dataclass(frozen=True, slots=True)
class Audience:
    """Destinations for which results look alike, and so are the same objects."""

    destinations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Which kinds of results (results.kinds.SOP_CLASSES) each gets, by its name; nobody: what is kept anyway."""
    fallbacks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By destination: which kind stands in for which where the destination does not accept it."""
    presentation: Mapping[str, object] = field(default_factory=dict)
    """Fields of ResultIdentity that are other than the site's."""

    @property
    def wanted(self) -> frozenset[str]:
        """The kinds of results to make."""
        instead = [kind for kinds in self.fallbacks.values() for kind in kinds.values()]
        return wanted_kinds(self.destinations.values()).union(instead)


@dataclass(frozen=True, slots=True)
class InferenceContext:
    """The same for all jobs of one worker."""

    identity: ResultIdentity
    audiences: tuple[Audience, ...]
    """At least one; each destination is in one of them."""
    policy: RetryPolicy
    lease_time_s: float

    @property
    def notices(self) -> bool:
        """Whether some destination wants to be told of studies without an analysis."""
        return any(NOT_ANALYSED_REPORT in audience.wanted for audience in self.audiences)
