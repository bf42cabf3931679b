"""Alerts: conditions over facts about the node, each with a description and a remedy for the people of the site."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from glam_node.node.domain.words import counted

LEFT_OUT_WITHIN = timedelta(days=1)
REMEDIES = {
    "synthesized": (
        "have only synthesized views, which the model package does not declare",
        "Route conventional views here too, or set inference.package to one whose card declares synthesized views.",
    ),
    "contrast_low_energy": (
        "have only contrast-enhanced views, which the model package does not declare",
        "Set inference.package to one whose card declares contrast_low_energy, or do not route such studies here.",
    ),
    "image_type_unknown": (
        "have images whose Image Type has an unknown term",
        "Run glam-node study show UID to see the term. If ordinary views of a machine have it, add it to "
        "eligibility.image_types.",
    ),
    "demonstration_package": (
        "are of patients, and the model package is a demonstration that was trained on synthetic images",
        "Set inference.package, or set inference.demonstration_on_patients = true to try the node with this package.",
    ),
}
"""Description and remedy for each eligibility rule that may leave out studies that the site wants to have analysed."""
LOW_DISK_FACTOR = 2
"""Factor by which the minimum free space for C-STORE is multiplied; below the product, the disk counts as low."""


@dataclass(frozen=True, slots=True)
class AlertPolicy:
    """Settings of the site that decide which conditions raise an alert; times in seconds."""

    which: frozenset[str]
    """Names of the enabled alerts."""
    archive_down_after_s: float
    backlog_after_s: float
    worker_gone_after_s: float
    no_studies_after_s: float
    score_drift: float
    canary: bool = False
    """Whether canaries are sent on a schedule."""


@dataclass(frozen=True, slots=True)
class AlertFacts:
    """Facts about the node at one moment.

    Ages are in seconds; None means that there is no such job or image.
    """

    oldest_deliveries_s: Mapping[str, float] = field(default_factory=dict)
    """Age of the oldest waiting delivery of each destination that has a backlog and is not in shadow."""
    oldest_job_s: float | None = None
    """Age of the oldest unfinished job."""
    due_job_s: float | None = None
    """Time since the due time of the job that has been due longest."""
    running_jobs: int = 0
    failed_jobs: int = 0
    abandoned_deliveries: int = 0
    studies_in_doubt: Mapping[str, int] = field(default_factory=dict)
    """Number of studies with images in doubt, by kind of doubt."""
    last_image_s: float | None = None
    """Time since the last image was received."""
    free_bytes: int | None = 0
    """Free space of the storage root; None while the root is away, such as a share that is not mounted."""
    minimum_free_bytes: int = 0
    """Free space below which C-STORE is refused."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Number of studies that each rule of REMEDIES left out within the period LEFT_OUT_WITHIN."""
    mean_scores: Mapping[str, float] = field(default_factory=dict)
    """Mean score of the last analyses, by class (benign, malignant)."""
    reference_scores: Mapping[str, float] = field(default_factory=dict)
    """Mean score that the model package states as its reference, by class."""
    canary_failure: str = ""
    """Reason why the last canary failed; empty if it passed, or if there was none."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One condition that needs a person."""

    name: str
    subject: str
    """Destination, class, rule or kind of doubt that the alert is about; empty if the name of the alert is enough."""
    fact: str
    """Description of the condition, as a sentence."""
    action: str
    """Remedy, as a sentence."""


class Phase(StrEnum):
    """Phase of an alert."""

    BEGINS = "begins"
    OVER = "over"
    NOTICE = "notice"
    """The message is about one study for which a rule of the site decided, and has no end."""


@dataclass(frozen=True, slots=True)
class AlertMessage:
    """Message about an alert for one channel (mail or webhook)."""

    message_id: int
    name: str
    subject: str
    phase: Phase
    channel: str
    fact: str
    action: str
    at: datetime
    attempt: int = 0

    @property
    def title(self) -> str:
        """Title of the message, in one line."""
        what = f"{self.name} ({self.subject})" if self.subject else self.name
        return {Phase.BEGINS: f"{what} begins", Phase.OVER: f"{what} is over", Phase.NOTICE: what}[self.phase]

    @property
    def sentences(self) -> tuple[str, str]:
        """The condition and its remedy; for an alert that is over, what it was, and that nothing has to be done."""
        if self.phase is Phase.OVER:
            return f'It said: "{self.fact}"', "Nothing has to be done."
        return self.fact, self.action


def alerts(facts: AlertFacts, policy: AlertPolicy) -> list[Alert]:
    """Return the alerts whose condition holds and that the site has enabled."""
    return [alert for name, find in _CONDITIONS.items() if name in policy.which for alert in find(facts, policy)]


def _archive_down(facts: AlertFacts, policy: AlertPolicy) -> Iterator[Alert]:
    for destination, age in sorted(facts.oldest_deliveries_s.items()):
        if age > policy.archive_down_after_s:
            yield Alert(
                "archive_down",
                destination,
                f"Results have been waiting for {destination} for {_time(age)}.",
                f"Run glam-node echo {destination} to see the cause. No result is lost: the node sends them as soon as "
                "the destination answers.",
            )


def _backlog_growing(facts: AlertFacts, policy: AlertPolicy) -> Iterator[Alert]:
    if facts.oldest_job_s is not None and facts.oldest_job_s > policy.backlog_after_s:
        fact = f"A study has been waiting for its analysis for {_time(facts.oldest_job_s)}."
        action = "Check with glam-node status whether a worker is running. Read its log, or add a worker."
        yield Alert("backlog_growing", "", fact, action)


def _worker_gone(facts: AlertFacts, policy: AlertPolicy) -> Iterator[Alert]:
    if facts.running_jobs == 0 and facts.due_job_s is not None and facts.due_job_s > policy.worker_gone_after_s:
        fact = f"Jobs have been due for {_time(facts.due_job_s)} and no worker has started one."
        yield Alert("worker_gone", "", fact, "Start a worker. The log of the last worker says why it exited.")


def _disk_low(facts: AlertFacts, _: AlertPolicy) -> Iterator[Alert]:
    if facts.free_bytes is None:
        fact = "storage.root is away: no image is received and no study is analysed."
        action = "Check whether its share or disk is mounted. Work continues when it is mounted again."
        yield Alert("disk_low", "storage.root", fact, action)
    elif facts.free_bytes < LOW_DISK_FACTOR * facts.minimum_free_bytes:
        fact = f"{facts.free_bytes} bytes are free; below {facts.minimum_free_bytes} bytes C-STORE is refused."
        action = "Free some disk space, or set retention.free_bytes so that files of done studies are removed earlier."
        yield Alert("disk_low", "", fact, action)


def _no_studies(facts: AlertFacts, policy: AlertPolicy) -> Iterator[Alert]:
    if facts.last_image_s is not None and facts.last_image_s > policy.no_studies_after_s:
        fact = f"No image has been received for {_time(facts.last_image_s)}."
        action = "Check whether the PACS still routes studies here. glam-node status lists refused associations."
        yield Alert("no_studies", "", fact, action)


def _needs_a_person(facts: AlertFacts, _: AlertPolicy) -> Iterator[Alert]:
    if facts.failed_jobs or facts.abandoned_deliveries:
        fact = f"{counted(facts.failed_jobs, 'job')} and {counted(facts.abandoned_deliveries, 'result')} were given up."
        action = (
            "Run glam-node study list and glam-node study show UID to see why, "
            "and glam-node study retry UID to try again."
        )
        yield Alert("needs_a_person", "", fact, action)


def _studies_left_out(facts: AlertFacts, _: AlertPolicy) -> Iterator[Alert]:
    for rule, count in sorted(facts.left_out.items()):
        fact, action = REMEDIES[rule]
        yield Alert(
            "studies_left_out",
            rule,
            f"The node left out {counted(count, 'study')} in the last day: such studies {fact}.",
            action,
        )


def _images_in_doubt(facts: AlertFacts, _: AlertPolicy) -> Iterator[Alert]:
    for kind, words in _IN_DOUBT.items():
        count = facts.studies_in_doubt.get(kind, 0)
        if count:
            action = "Run glam-node status to list the studies, and glam-node study show UID to see what you can do."
            yield Alert("images_in_doubt", kind, f"{counted(count, 'study')} {words}", action)


def _score_drift(facts: AlertFacts, policy: AlertPolicy) -> Iterator[Alert]:
    for kind, mean in sorted(facts.mean_scores.items()):
        reference = facts.reference_scores.get(kind)
        if reference is not None and abs(mean - reference) > policy.score_drift:
            yield Alert(
                "score_drift",
                kind,
                f"The mean {kind} score of the last analyses is {mean:.2f}, that of the package's reference "
                f"{reference:.2f}.",
                "Check whether a machine, its processing or the mix of patients has changed. "
                "Run glam-node research evaluate on known cases to check the model.",
            )


def _canary_failed(facts: AlertFacts, policy: AlertPolicy) -> Iterator[Alert]:
    if policy.canary and facts.canary_failure:
        fact = f"The last canary, a synthetic study that the node sends to itself, failed. {facts.canary_failure}"
        action = (
            "Studies of patients may fail in the same way. Correct the cause, and run glam-node canary to try again; "
            "glam-node status shows the study of the canary."
        )
        yield Alert("canary_failed", "", fact, action)


_CONDITIONS: Mapping[str, Callable[[AlertFacts, AlertPolicy], Iterator[Alert]]] = {
    "archive_down": _archive_down,
    "backlog_growing": _backlog_growing,
    "worker_gone": _worker_gone,
    "disk_low": _disk_low,
    "no_studies": _no_studies,
    "needs_a_person": _needs_a_person,
    "studies_left_out": _studies_left_out,
    "images_in_doubt": _images_in_doubt,
    "score_drift": _score_drift,
    "canary_failed": _canary_failed,
}
_IN_DOUBT = {
    "two_patients": "with images of more than one patient: nothing is analysed.",
    "two_studies": "with images of more than one study: nothing is analysed.",
    "patient": "whose images were sent again and state another patient: results name the one that came first.",
    "study": "whose images were sent again and state another study date, accession number or study.",
    "view": "whose images were sent again and state another view or laterality.",
}


def _time(seconds: float) -> str:
    """Return the duration in the largest unit of which there are at least two."""
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length:
            return counted(round(seconds / length), unit)
    return counted(round(seconds), "second")
