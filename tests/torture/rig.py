"""Setting of a scenario: a node in several processes, modalities that keep sending, an archive, a final check."""

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import pytest
from sqlalchemy import func, select

from glam_node.node.bootstrap import Node
from glam_node.node.db import audit
from glam_node.node.db.tables import DeliveryRow, JobRow
from glam_node.node.domain.event import EventKind
from glam_node.settings.load import load_settings
from tests.integration.node_directory import NodeDirectory, write_node
from tests.ports import free_port
from tests.system.orthanc import Orthanc
from tests.torture.archive import contents, orthanc_archive
from tests.torture.ledger import Ledger
from tests.torture.processes import Tree, parts_of, whole
from tests.torture.sender import Modality
from tests.torture.verdict import Verdict, evidence, is_at_rest, judge

NEEDS = [
    pytest.mark.peer("orthanc"),
    pytest.mark.peer("dcmtk"),
    pytest.mark.peer("redis-server"),
    pytest.mark.timeout(3600),
]
"""Marks of every test of this folder."""

PATIENCE_S = 150.0
"""Seconds without progress that are allowed: more than any lease, claim, repeated announcement and watchdog in sum."""
POLL_S = 0.25


@dataclass
class Rig:
    """The parts of a scenario."""

    name: str
    seed: int
    directory: Path
    node_directory: NodeDirectory
    tree: Tree
    archive: Orthanc
    redis_url: str
    ledger: Ledger = field(default_factory=Ledger)
    modalities: list[Modality] = field(default_factory=list)
    started_at: float = 0.0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    @contextmanager
    def node(self) -> Iterator[Node]:
        """Build the node as its processes do, and close its database connections at the end."""
        node = self.node_directory.build()
        try:
            yield node
        finally:
            node.sessions.kw["bind"].dispose()

    def tend(self, seconds: float) -> None:
        """Let time pass, and restart processes that have exited."""
        deadline = time.monotonic() + seconds
        while True:
            self.tree.tend()
            left = deadline - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, POLL_S))

    def until(self, true: Callable[[], bool], progress: Callable[[], object] = lambda: None) -> bool:
        """Wait until `true` holds; return False without progress for PATIENCE_S. Exited processes are restarted."""
        before, deadline = progress(), time.monotonic() + PATIENCE_S
        while not true():
            now = progress()
            if now != before:
                before, deadline = now, time.monotonic() + PATIENCE_S
            if time.monotonic() > deadline:
                return False
            self.tend(POLL_S)
        return True

    def until_something_moves(self) -> bool:
        """Wait for progress: an answer, a stored result or a repeated step; return False after PATIENCE_S."""
        before = self.progress()
        return self.until(lambda: self.progress() != before)

    def progress(self) -> tuple[int, int]:
        """Return the number of answers of the node and the contents of the archive."""
        return self.ledger.answers.total(), int(self.archive.get("/statistics")["CountInstances"])

    def finish(self) -> Verdict:
        """Stop all disturbances, wait until everything is sent and the node is at rest, and return the verdict."""
        for modality in self.modalities:
            modality.stop.set()
        self.until(lambda: not any(modality.is_alive() for modality in self.modalities), self.ledger.answers.total)
        with self.node() as node:
            self.until(lambda: is_at_rest(node), lambda: contents(self.archive))
            return judge(self.ledger, node, contents(self.archive))

    def assert_nothing_is_lost(self) -> None:
        """Finish the scenario and print its figures; on failure, name the seed and the directory of the evidence."""
        disturbed_s = time.monotonic() - self.started_at
        verdict = self.finish()
        evidence(self.directory, verdict)
        with self.node() as node:
            print(self._figures(verdict, disturbed_s, again(node)))
        assert verdict.is_innocent(), (
            f"{self.name} with TORTURE_SEED={self.seed}: {verdict}; logs, database and diary are in {self.directory}"
        )

    def _figures(self, verdict: Verdict, disturbed_s: float, done_again: str) -> str:
        tree, ledger = self.tree, self.ledger
        kills = ", ".join(f"{name} {count}" for name, count in sorted(tree.kills.items()))
        lines = {
            "seed": self.seed,
            "kills": f"{tree.kills.total()} ({kills})" if kills else 0,
            "ended by themselves": dict(tree.ended) or 0,
            "studies": len(ledger.studies()),
            "instances answered": sum(1 for count in ledger.answers.values() if count),
            "answered otherwise": dict(ledger.refusals) or 0,
            "done again": done_again,
            "lost": len(verdict.lost),
            "studies without results": len(verdict.without_results),
            "studies with results twice": len(verdict.results_twice),
            "seconds": f"{disturbed_s:.0f} disturbed, {time.monotonic() - self.started_at:.0f} in all",
        }
        return "\n".join([f"\n== {self.name}", *(f"{name:>28}  {value}" for name, value in lines.items())])


def again(node: Node) -> str:
    """Return how often a step was repeated after a kill, in words: instances, jobs and deliveries."""
    with node.sessions() as session:
        twice = {
            "instances": len(audit.recent(session, EventKind.INSTANCE_DUPLICATE, 1_000_000)),
            "jobs": session.scalar(select(func.count()).where(JobRow.attempt > 1)),
            "deliveries": session.scalar(select(func.count()).where(DeliveryRow.attempt > 1)),
        }
    return ", ".join(f"{count} {what}" for what, count in twice.items())


def is_full_length() -> bool:
    """Return whether `make torture` runs the tests, not `make test`."""
    return os.environ.get("TORTURE_LENGTH") == "full"


def chosen_seed() -> int:
    """Return TORTURE_SEED, or a random seed if it is not set."""
    return int(os.environ.get("TORTURE_SEED") or random.SystemRandom().randrange(1_000_000))


@contextmanager
def torture(
    name: str,
    directory: Path,
    *,
    workers: int = 1,
    senders: int = 1,
    modalities: int = 2,
    database_url: str = "",
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Rig]:
    """Run a node in several processes and modalities that send, until the context ends."""
    redis_port = free_port()
    with orthanc_archive(directory / "archive") as archive:
        broker_url = f"redis://127.0.0.1:{redis_port}/0"
        node = write_node(
            directory,
            archive_port=archive.dicom_port,
            broker_url=broker_url,
            database_url=database_url,
            port=free_port(),
        )
        tree = parts_of(node, redis_port=redis_port, workers=workers, senders=senders, more=environment)
        with _running(Rig(name, chosen_seed(), directory, node, tree, archive, broker_url), modalities) as rig:
            yield rig


@contextmanager
def torture_of_a_whole_node(name: str, directory: Path, more: str = "") -> Iterator[Rig]:
    """Do the same with `glam-node serve`, its embedded broker and `more` settings; the killer sees one process."""
    with orthanc_archive(directory / "archive") as archive:
        node = write_node(directory, archive_port=archive.dicom_port, port=free_port())
        with node.settings_path.open("a") as settings:
            settings.write(more)
        with _running(Rig(name, chosen_seed(), directory, node, whole(node), archive, ""), modalities=2) as rig:
            yield rig


@contextmanager
def _running(rig: Rig, modalities: int) -> Iterator[Rig]:
    """Start everything, and wait until a study was answered before the context begins."""
    rig.tree.note("seed", name=rig.name, seed=rig.seed)
    port = load_settings(rig.node_directory.settings_path, {}).node.port
    rig.modalities = [
        Modality(rig.ledger, port, rig.directory / "sent", seed=1000 * (rig.seed + number), pause_s=1.0)
        for number in range(modalities)
    ]
    try:
        rig.tree.start()
        for modality in rig.modalities:
            modality.start()
        answered = rig.until(lambda: bool(rig.ledger.studies()))
        assert answered, f"{rig.name}: nothing was answered; logs are in {rig.directory}"
        rig.started_at = time.monotonic()
        yield rig
    finally:
        for modality in rig.modalities:
            modality.stop.set()
        rig.tree.end()
