"""Settings that a worker runs its jobs with."""

from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass, field, replace

from glam_node.kinds.facts import CONVENTIONAL_VIEWS, KindPolicy
from glam_node.node.domain.job import InferenceJob, RetryPolicy, Routing
from glam_node.node.domain.patient_change import CorrectedPatient
from glam_node.node.domain.routing import SiteRule
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.message_form import MessageForm
from glam_node.result_kinds import NOT_ANALYSED_REPORT, wanted_kinds


@dataclass(frozen=True, slots=True)
class Audience:
    """Group of destinations whose results look the same and are therefore the same objects."""

    destinations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Kinds of results (result_kinds.SOP_CLASSES) by destination name; if empty, the default kinds are kept."""
    fallbacks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Replacement kinds by destination name and by the kind that the destination may refuse."""
    presentation: Mapping[str, object] = field(default_factory=dict)
    """Fields of ResultIdentity whose values differ from those of the site."""
    message: MessageForm | None = None
    """Form of the HL7 messages for the only destination of this group; None for destinations of DICOM objects."""

    @property
    def wanted(self) -> frozenset[str]:
        """Kinds of results to create."""
        instead = [kind for kinds in self.fallbacks.values() for kind in kinds.values()]
        return wanted_kinds(self.destinations.values()).union(instead)

    def by_kinds(self) -> "tuple[Audience, ...]":
        """Return the destinations, grouped by the kinds of results that they get; there is at least one group."""
        groups: dict[tuple[frozenset[str], frozenset[str]], list[str]] = {}
        for name, kinds in self.destinations.items():
            standby = frozenset(self.fallbacks.get(name, {}).values())
            groups.setdefault((frozenset(kinds), standby), []).append(name)
        return tuple(self.among(names) for names in groups.values()) or (self,)

    @property
    def standby(self) -> frozenset[str]:
        """Kinds that are created in case a destination does not accept another kind."""
        return frozenset(kind for kinds in self.fallbacks.values() for kind in kinds.values())

    def among(self, names: Container[str]) -> "Audience":
        """Return this audience with only those of its destinations that are in `names`."""
        destinations = {name: kinds for name, kinds in self.destinations.items() if name in names}
        fallbacks = {name: kinds for name, kinds in self.fallbacks.items() if name in names}
        return replace(self, destinations=destinations, fallbacks=fallbacks)

    def restricted(self, kinds: Collection[str] | None) -> "Audience":
        """Return this audience with only those kinds of results of its destinations that are in `kinds`; None: all."""
        if kinds is None:
            return self
        destinations = {name: tuple(kind for kind in own if kind in kinds) for name, own in self.destinations.items()}
        fallbacks = {
            name: {kind: other for kind, other in own.items() if kind in kinds} for name, own in self.fallbacks.items()
        }
        return replace(self, destinations=destinations, fallbacks=fallbacks)


@dataclass(frozen=True, slots=True)
class InferenceContext:
    """Settings that all jobs of one worker share."""

    identity: ResultIdentity
    audiences: tuple[Audience, ...]
    """Groups of destinations, at least one; each destination is in one of them."""
    policy: RetryPolicy
    lease_time_s: float
    shadow: frozenset[str] = frozenset()
    """Names of the destinations whose results are created and kept but not sent."""
    dry_run: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Kinds of results that would be created, by name of each destination in dry run; these are in no audience."""
    kinds: KindPolicy = CONVENTIONAL_VIEWS
    """Kinds of image that are analysed; the header is checked again when an image is read."""
    least_free_bytes: int = 0
    """Free bytes in the storage root below which no job is started."""
    site: tuple[SiteRule, ...] = ()
    """The site's rules about results, in their order."""
    released_by: str = "a person"
    """Who releases the studies that such a rule holds, for people."""

    @property
    def destinations(self) -> tuple[str, ...]:
        """The names of all destinations that are configured."""
        return tuple(name for audience in self.audiences for name in audience.destinations) + tuple(self.dry_run)

    def for_patient(self, patient: CorrectedPatient | None) -> "InferenceContext":
        """Return this context for results that name another patient than the images; None: the one in the images."""
        return self if patient is None else replace(self, identity=replace(self.identity, patient=patient))

    def kept_reason(self, destination: str, routing: Routing | None = None) -> str:
        """Return why results for a destination are not sent to it; empty if they are.

        Args:
            destination: Name of the destination.
            routing: Routing of the results; None if only the destination's mode counts.
        """
        if destination in self.dry_run or destination in self.shadow:
            return f"destinations.{destination}.mode is {'dry_run' if destination in self.dry_run else 'shadow'}"
        return f"{routing.rule} is in shadow" if routing is not None and routing.shadow else ""

    def audiences_of(self, routing: Routing) -> tuple[Audience, ...]:
        """Return the audiences that a job's results are for; at least one."""
        names = routing.destinations
        if names is None:
            return self.audiences
        chosen = (audience.among(names) for audience in self.audiences)
        return tuple(audience for audience in chosen if audience.destinations) or (Audience(),)

    def digest_for(self, audience: Audience, job: InferenceJob) -> str:
        """Return the digest of what the results of a job for an audience are made with, its presentation included."""
        return (
            replace(self.identity, settings_digest=job.settings_digest).presented(audience.presentation).settings_digest
        )

    def would_send(self, routing: Routing) -> dict[str, list[str]]:
        """Return the kinds of results that a job would send, by name of the destination in dry run."""
        names, chosen = routing.destinations, routing.results
        return {
            name: [kind for kind in kinds if chosen is None or kind in chosen]
            for name, kinds in self.dry_run.items()
            if names is None or name in names
        }

    def is_withheld(self, routing: Routing, destination: str) -> bool:
        """Return whether a job's results for the destination are kept and not sent."""
        return bool(self.kept_reason(destination, routing))

    @property
    def notices(self) -> bool:
        """Whether some destination receives reports on studies that were not analysed."""
        return any(NOT_ANALYSED_REPORT in audience.wanted for audience in self.audiences)
