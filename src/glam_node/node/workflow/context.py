"""What a worker needs to know of the node to run jobs."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace

from glam_node.kinds.facts import CONVENTIONAL_VIEWS, KindRules
from glam_node.node.domain.job import Routing
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

    def by_wish(self) -> "tuple[Audience, ...]":
        """Return its destinations in groups that get the same kinds of results; at least one group."""
        groups: dict[tuple[frozenset[str], frozenset[str]], list[str]] = {}
        for name, kinds in self.destinations.items():
            standby = frozenset(self.fallbacks.get(name, {}).values())
            groups.setdefault((frozenset(kinds), standby), []).append(name)
        return tuple(self.among(names) for names in groups.values()) or (self,)

    @property
    def standby(self) -> frozenset[str]:
        """The kinds that are made in case a destination does not accept another."""
        return frozenset(kind for kinds in self.fallbacks.values() for kind in kinds.values())

    def among(self, names: Container[str]) -> "Audience":
        """Only those of its destinations."""
        destinations = {name: kinds for name, kinds in self.destinations.items() if name in names}
        fallbacks = {name: kinds for name, kinds in self.fallbacks.items() if name in names}
        return replace(self, destinations=destinations, fallbacks=fallbacks)


@dataclass(frozen=True, slots=True)
class InferenceContext:
    """The same for all jobs of one worker."""

    identity: ResultIdentity
    audiences: tuple[Audience, ...]
    """At least one; each destination is in one of them."""
    policy: RetryPolicy
    lease_time_s: float
    shadow: frozenset[str] = frozenset()
    """Destinations for which results are made and kept, and to which nothing is sent."""
    dry_run: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Destinations that are in no audience: which kinds of results would be made for each."""
    kinds: KindRules = CONVENTIONAL_VIEWS
    """Which kinds of image are analysed; each header is judged again when its image is read."""
    least_free_bytes: int = 0
    """Under this no job is begun."""

    def audiences_of(self, routing: Routing) -> tuple[Audience, ...]:
        """At least one; those that the results of a job are for."""
        names = routing.destinations
        if names is None:
            return self.audiences
        chosen = (audience.among(names) for audience in self.audiences)
        return tuple(audience for audience in chosen if audience.destinations) or (Audience(),)

    def would_send(self, routing: Routing) -> dict[str, list[str]]:
        """By destination in dry run that the job's results would go to, which kinds."""
        names = routing.destinations
        return {name: list(kinds) for name, kinds in self.dry_run.items() if names is None or name in names}

    def is_withheld(self, routing: Routing, destination: str) -> bool:
        """Whether a job's results are not sent there."""
        return routing.shadow or destination in self.shadow

    @property
    def notices(self) -> bool:
        """Whether some destination wants to be told of studies without an analysis."""
        return any(NOT_ANALYSED_REPORT in audience.wanted for audience in self.audiences)
