"""A node without processes: a database, a disk, a clock to set, and archives that answer as a test wants."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from glam_node.inference.header_facts import describe_view
from glam_node.inference.predictor import Predictor
from glam_node.node.db import audit, deliveries, jobs, studies
from glam_node.node.db.engine import SessionFactory
from glam_node.node.domain.account import Actor, Order, SeenStudy
from glam_node.node.domain.completeness import AssemblyPolicy
from glam_node.node.domain.delivery import Delivery
from glam_node.node.domain.eligibility import EligibilityPolicy
from glam_node.node.domain.identity import identity_of
from glam_node.node.domain.instance import SOPInstance, StudyAttributes
from glam_node.node.domain.job import InferenceJob, Priority, RetryPolicy
from glam_node.node.domain.ports import OutgoingInstance, StoreOutcome
from glam_node.node.domain.routing import SiteRule
from glam_node.node.domain.study import Study
from glam_node.node.errors import PermanentError
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.storage.files import write_durably
from glam_node.node.storage.header import digest_of_data_set
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.analyse.context import Audience, InferenceContext
from glam_node.node.workflow.analyse.run_job import run_job
from glam_node.node.workflow.assemble.completion import close_complete_studies
from glam_node.node.workflow.assemble.rule_headers import headers_of_complete_studies
from glam_node.node.workflow.assemble.submit import SubmissionPolicy, submit_complete_studies
from glam_node.node.workflow.deliver.send_results import deliver_due
from glam_node.node.workflow.operate.resend import Selection, resend
from glam_node.node.workflow.receive.store_instance import image_attributes
from glam_node.result_kinds import fallback_sop_classes
from tests.builders import NOW

ASSEMBLY = AssemblyPolicy(settle_time_s=10, quiet_time_s=300, maximum_age_s=3600)
ELIGIBILITY = EligibilityPolicy(minimum_views=1, accept_implants=True)
RETRY_JOBS = RetryPolicy(initial_delay_s=10, multiplier=2, maximum_delay_s=600, maximum_attempts=3)
RETRY_DELIVERIES = RetryPolicy(initial_delay_s=5, multiplier=2, maximum_delay_s=900, maximum_attempts=4)
LEASE_S = 120.0
LEAST_FREE_BYTES = 0
BOTH = ("segmentation", "measurement_report")


class Killed(BaseException):
    """The end of a process by SIGKILL: no code of glam-node may handle it."""


@dataclass
class Clock:
    """A clock that stands still until it is turned."""

    time: datetime = NOW

    def __call__(self) -> datetime:
        """Return the time of the clock."""
        return self.time

    def turn(self, seconds: float) -> None:
        """Advance the clock."""
        self.time += timedelta(seconds=seconds)


@dataclass
class Archive:
    """A destination that keeps the objects it gets; `answer` may refuse them."""

    name: str = "archive"
    answer: Callable[[OutgoingInstance], StoreOutcome | None] = lambda _instance: None
    received: list[str] = field(default_factory=list)
    """SOP Instance UIDs in the order of their arrival."""
    associations: int = 0

    def store(self, instances: Sequence[OutgoingInstance]) -> list[StoreOutcome]:
        """Return one outcome per instance."""
        self.associations += 1
        return [self._store_one(instance) for instance in instances]

    def _store_one(self, instance: OutgoingInstance) -> StoreOutcome:
        refusal = self.answer(instance)
        if refusal is not None:
            return refusal
        assert pydicom.dcmread(instance.path).SOPInstanceUID == instance.sop_instance_uid
        self.received.append(instance.sop_instance_uid)
        return StoreOutcome(instance.sop_instance_uid, True, 0x0000, False, "")


def down(instance: OutgoingInstance) -> StoreOutcome:
    """Answer as an archive that cannot be reached."""
    return StoreOutcome(instance.sop_instance_uid, False, None, True, "ARCHIVE does not answer.", reached=False)


def full(instance: OutgoingInstance) -> StoreOutcome:
    """Answer as an archive without room."""
    return StoreOutcome(instance.sop_instance_uid, False, 0xA700, True, "ARCHIVE is full.")


def unsupported(instance: OutgoingInstance) -> StoreOutcome:
    """Answer as an archive that does not accept the SOP class."""
    return StoreOutcome(instance.sop_instance_uid, False, 0x0122, False, "ARCHIVE does not take the SOP class.", True)


@dataclass
class Workbench:
    """The work of a node's processes, called by a test."""

    sessions: SessionFactory
    store: InstanceStore
    predictor: Predictor
    destinations: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {"archive": BOTH})
    fallbacks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    others: tuple[Audience, ...] = ()
    """Destinations whose results look different."""
    clock: Clock = field(default_factory=Clock)
    settings_digest: str = "digest"
    priorities: Mapping[str, Priority] = field(default_factory=dict)
    site: tuple[SiteRule, ...] = ()
    """Rules of the site."""
    shadow: frozenset[str] = frozenset()
    dry_run: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def context(self) -> InferenceContext:
        """Return the settings of a worker."""
        audience = Audience(self.destinations, self.fallbacks)
        return InferenceContext(
            ResultIdentity(settings_digest=self.settings_digest),
            (audience, *self.others),
            RETRY_JOBS,
            LEASE_S,
            self.shadow,
            self.dry_run,
            least_free_bytes=LEAST_FREE_BYTES,
            site=tuple(rule for rule in self.site if rule.of_results),
        )

    def receive(self, *images: Dataset, calling_ae_title: str = "MODALITY") -> None:
        """Store the images on disk and in the database."""
        for image in images:
            relative = f"instances/{image.StudyInstanceUID}/{image.SOPInstanceUID}.dcm"
            path = self.store.resolve(relative)
            write_durably(path, b"")
            image.save_as(path, enforce_file_format=True)
            self.record(replace(self._instance(image, relative), calling_ae_title=calling_ae_title))

    def record(self, *instances: SOPInstance) -> None:
        """Store the instances in the database, without files."""
        with self.sessions.begin() as session:
            for instance in instances:
                studies.add_instance(session, instance, StudyAttributes(patient_id="P1"))

    def _instance(self, image: Dataset, relative: str) -> SOPInstance:
        return SOPInstance(
            sop_class_uid=image.SOPClassUID,
            sop_instance_uid=image.SOPInstanceUID,
            series_instance_uid=image.SeriesInstanceUID,
            study_instance_uid=image.StudyInstanceUID,
            transfer_syntax_uid=image.file_meta.TransferSyntaxUID,
            path=relative,
            blake3=digest_of_data_set(self.store.resolve(relative)),
            sha256="",
            byte_count=1,
            calling_ae_title="MODALITY",
            received_at=self.clock(),
            attributes=image_attributes(describe_view(image)),
            identity=identity_of(image, str(image.StudyInstanceUID)),
        )

    def dispatch(self) -> list[InferenceJob]:
        """Run one round of the dispatcher, without announcements."""
        with self.sessions.begin() as session:
            close_complete_studies(session, self.clock(), ASSEMBLY)
        headers = headers_of_complete_studies(self.sessions, self.store, self.site)
        with self.sessions.begin() as session:
            notices = self.context.notices
            policy = SubmissionPolicy(ELIGIBILITY, self.settings_digest, notices, self.priorities, self.site)
            return submit_complete_studies(session, self.clock(), policy, headers)

    def submitted(self, *images: Dataset) -> InferenceJob:
        """Receive the images of a study, and return its job after a quiet time."""
        self.receive(*images)
        self.clock.turn(ASSEMBLY.quiet_time_s)
        (job,) = self.dispatch()
        return job

    def submitted_again(self, *late: Dataset) -> list[InferenceJob]:
        """Receive late images, and return the jobs that they make."""
        self.receive(*late)
        self.clock.turn(ASSEMBLY.quiet_time_s)
        return self.dispatch()

    def run(self, job: InferenceJob, owner: str = "worker") -> bool:
        """Run a job as one worker."""
        return run_job(
            job.job_id,
            sessions=self.sessions,
            store=self.store,
            predictor=self.predictor,
            context=self.context,
            now=self.clock,
            owner=owner,
        )

    def deliver(self, archive: Archive, policy: RetryPolicy = RETRY_DELIVERIES) -> int:
        """Run one round of the sender."""
        return deliver_due(
            self.sessions, self.store, {archive.name: archive}, policy, self.clock, fallback_sop_classes(self.fallbacks)
        )

    def study(self) -> Study:
        """Return the only study."""
        with self.sessions() as session:
            (study,) = studies.recent(session, 2)
        return study

    def order(self, reason: str = "", seen: SeenStudy | None = None) -> Order:
        """Return an order of anna on the only study, made now."""
        return Order(self.study().study_instance_uid, Actor("anna", "10.0.0.7"), self.clock(), reason, seen)

    def job(self) -> InferenceJob:
        """Return the newest job of the study."""
        return self.jobs()[0]

    def jobs(self) -> list[InferenceJob]:
        """Return the jobs of the study, newest first."""
        uid = self.study().study_instance_uid
        with self.sessions() as session:
            return jobs.of_study(session, uid)

    def deliveries(self) -> list[Delivery]:
        """Return the deliveries of the study."""
        uid = self.study().study_instance_uid
        with self.sessions() as session:
            return deliveries.of_study(session, uid)

    def events(self) -> list[str]:
        """Return the events of the study, in order."""
        uid = self.study().study_instance_uid
        with self.sessions() as session:
            return [event.kind for event in audit.timeline(session, uid)]

    def results(self) -> dict[str, Path]:
        """Return the files of results by SOP Instance UID."""
        return {path.stem: path for path in sorted(self.store.root.glob("results/*/*.dcm"))}


def act(bench: Workbench, destination: str = "", stored: bool = False) -> str:
    """Send results of the study again as anna asks, and return the answer."""
    with bench.sessions.begin() as session:
        return resend(session, bench.order(), Selection(destination, stored), bench.context)


class Failing:
    """A predictor that always fails."""

    def __init__(self, works: Predictor) -> None:
        self.algorithm = works.algorithm

    def segment(self, _mammograms: object) -> None:
        """Raise an error."""
        raise PermanentError("The weights are of another network.")
