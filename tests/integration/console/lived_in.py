"""A node with all states that the pages show."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydicom.dataset import Dataset

from glam_node.inference.phantom import make_exam
from glam_node.inference.threshold import ThresholdPredictor
from glam_node.node.bootstrap import Node, build_node
from glam_node.node.console.app import create_console
from glam_node.node.db import audit, jobs, workers
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.domain.ports import OutgoingInstance, StoreOutcome
from glam_node.node.domain.worker import Worker
from glam_node.node.scp.access import Caller, admission
from glam_node.settings.console import ConsoleSettings
from glam_node.settings.destinations import CStoreSettings, FolderSettings
from glam_node.settings.peers import PeerSettings
from glam_node.settings.schema import NodeSettings, Settings, StorageSettings
from tests.integration.console.browser import listening
from tests.ports import free_port
from tests.unit.workflow.workbench import Archive, Clock, Workbench

PEERS = {"pacs": PeerSettings(ae_title="PACS", hosts=("10.0.0.5",))}
WORKER = "gpu-1/4026531836:4711:100"


@dataclass
class LivedIn:
    """The node, and the studies whose pages the tests request."""

    node: Node
    clock: Clock
    reported: str
    """The reported study, of which the archive refused one object and has the others."""
    running: str
    ineligible: str
    image: str
    """An image of the reported study with findings."""


def settings(root: Path) -> Settings:
    """Return settings with two destinations, of which one is a folder, and a receiver that does not run."""
    return Settings(
        node=NodeSettings(port=free_port()),
        peers=PEERS,
        storage=StorageSettings(root=root, minimum_free_bytes=0),
        destinations={
            "archive": CStoreSettings(host="10.0.0.9"),
            "trial": FolderSettings(kind="folder", path=root / "trial"),
        },
        console=ConsoleSettings(port=1),
        broker_url="redis://127.0.0.1:1/0",
    )


def lived_in(root: Path, rows: int = 416, columns: int = 320) -> LivedIn:
    """Build a node with analyses, deliveries, failures, refusals and waiting jobs, one busy and one lost worker."""
    node = build_node(settings(root))
    clock = Clock(datetime.now(UTC) - timedelta(minutes=20))
    bench = Workbench(node.sessions, node.store, ThresholdPredictor(ThresholdPredictor.built_in_package()), clock=clock)
    exams = [[view.dataset for view in make_exam(seed, rows=rows, columns=columns)] for seed in (3, 4, 5, 6)]
    reported, running, ineligible, waiting = exams
    _receive_slowly(bench, reported)
    clock.turn(300)
    bench.dispatch()
    clock.turn(0.031)
    bench.run(bench.job())
    clock.turn(1.25)
    bench.deliver(Archive(answer=_refuse_reports))
    bench.receive(*running, *waiting)
    for image in ineligible:
        image.Modality = "MR"
    bench.receive(*ineligible)
    clock.turn(301)
    queued = bench.dispatch()
    _claim(node, clock, next(job.job_id for job in queued if job.study_instance_uid == running[0].StudyInstanceUID))
    _refuse(node, clock)
    clock.time = datetime.now(UTC)
    return LivedIn(
        node,
        clock,
        reported[0].StudyInstanceUID,
        running[0].StudyInstanceUID,
        ineligible[0].StudyInstanceUID,
        next(image.SOPInstanceUID for image in reported if image.ImageLaterality == "L"),
    )


@contextmanager
def console_of(place: LivedIn) -> Iterator[str]:
    """Run the node's console and yield its address."""
    with listening(create_console(place.node, "127.0.0.1")) as port:
        yield f"http://127.0.0.1:{port}"


def _receive_slowly(bench: Workbench, images: list[Dataset]) -> None:
    """Receive the images one after the other, and record events as the receiver does."""
    for image in images:
        bench.receive(image)
        with bench.sessions.begin() as session:
            facts = {"calling_ae_title": "PACS", "sop_instance_uid": image.SOPInstanceUID, "byte_count": 17_000_000}
            audit.record(
                session, EventKind.INSTANCE_STORED, bench.clock(), study_instance_uid=image.StudyInstanceUID, **facts
            )
        bench.clock.turn(0.417)


def _refuse_reports(instance: OutgoingInstance) -> StoreOutcome | None:
    if "88." not in instance.sop_class_uid:
        return None
    words = "ARCHIVE at 10.0.0.9:104 answered 0xA700 to C-STORE. Free space there; it is tried again."
    return StoreOutcome(instance.sop_instance_uid, False, 0xA700, True, words)


def _claim(node: Node, clock: Clock, job_id: str) -> None:
    seen = datetime.now(UTC)
    here = Worker(
        name=WORKER,
        host="gpu-1",
        process_id=4711,
        device="cuda:0",
        route="cuda:0, torch",
        predictor="glam_node.inference.glam.predictor:GlamPredictor",
        algorithm="GLAM phantom-1",
        threads=4,
        resident_bytes=1_912_000_000,
        device_bytes=2_400_000_000,
        device_total_bytes=85_000_000_000,
        started_at=seen - timedelta(hours=3),
        last_seen_at=seen + timedelta(minutes=5),
    )
    lost = Worker(
        **{
            **{name: getattr(here, name) for name in Worker.__dataclass_fields__},
            "name": "gpu-2/1:1:1",
            "host": "gpu-2",
            "device_bytes": None,
            "device_total_bytes": None,
            "device": "cpu",
            "route": "cpu, openvino",
            "last_seen_at": seen - timedelta(minutes=12),
        }
    )
    with node.sessions.begin() as session:
        jobs.claim(session, job_id, owner=WORKER, now=clock(), lease_s=1200, maximum_attempts=3)
        workers.put(session, here)
        workers.put(session, lost)


def _refuse(node: Node, clock: Clock) -> None:
    """Record rejected associations as the receiver does."""
    for title, address in (("PACS", "10.0.0.66"), ("WORKSTATION_7", "10.0.0.12"), ("WORKSTATION_7", "10.0.0.12")):
        rejection = admission(title, "GLAMNODE", Caller(address), node.settings.node, node.settings.peers)
        assert rejection is not None
        detail: EventDetail = {
            "calling_ae_title": title,
            "called_ae_title": "GLAMNODE",
            "address": address,
            "reason": rejection.reason,
            "remedy": rejection.remedy,
        }
        with node.sessions.begin() as session:
            audit.record(session, EventKind.ASSOCIATION_REJECTED, clock(), **detail)
    with node.sessions.begin() as session:
        audit.record(
            session,
            EventKind.INSTANCE_REFUSED,
            clock(),
            status="0xC000",
            reason="StudyInstanceUID is missing or is not a UID",
            calling_ae_title="PACS",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.1.2",
            sop_instance_uid="1.2.3",
            repeated=4,
        )
