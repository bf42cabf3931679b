"""Ten thousand small studies through one node: memory, open files and latency stay the same from start to end."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest
from sqlalchemy import func, select

from glam_node.inference.phantom import VIEWS, make_view
from glam_node.node.bootstrap import Node
from glam_node.node.db.tables import DeliveryRow, InstanceRow
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.run.supervisor import Child
from tests.data_sets import encode
from tests.integration.modality import MODALITY
from tests.integration.node_directory import NodeDirectory, write_node
from tests.integration.redis_server import redis_server
from tests.integration.scp.raw import Sender
from tests.ports import free_port
from tests.torture.holdings import Holding, growth_kib, holdings
from tests.torture.rig import is_full_length
from tests.waiting import wait_until

pytestmark = [pytest.mark.alone, pytest.mark.peer("redis-server"), pytest.mark.timeout(5400)]

STUDIES = 10_000 if is_full_length() else 100
PARTS = 10
IN_FLIGHT = 8
PROCESSES = ("receiver", "dispatcher", "worker", "sender")
RECEIVER_PROCESSES = 2
# Compared from the second tenth on, when all code has run once; a short run has not reached its level by then.
LARGEST_GROWTH_KIB = 16_384 if is_full_length() else 65_536
LARGEST_LATENCY_RATIO = 1.5 if is_full_length() else 5.0


@dataclass(frozen=True, slots=True)
class Part:
    """One tenth of the studies."""

    held: tuple[Holding, ...]
    """Resources of each process at the end of this part."""
    latency_s: float
    """Median time from the row of the image to that of its result in the archive."""


def hurried(path: Path, broker_url: str) -> NodeDirectory:
    """Return a node that treats one view as a whole study, and writes reports to a folder."""
    directory = write_node(path, broker_url=broker_url)
    text = directory.settings_path.read_text()
    text = text.replace("settle_time = 0.5", "settle_time = 0.2\nquiet_time = 0.2")
    text = text.replace('ae_title = "ARCHIVE"\nhost = "127.0.0.1"', f'kind = "folder"\npath = "{path / "folder"}"')
    text = text.replace("port = 104\n", 'results = ["measurement_report"]\n')
    directory.settings_path.write_text(text)
    return directory


def stored(node: Node) -> int:
    with node.sessions() as session:
        query = select(func.count()).where(DeliveryRow.state == DeliveryState.STORED)
        return session.scalar(query) or 0


def latencies(node: Node, last: int) -> list[float]:
    """Return the latencies of the `last` studies that were stored."""
    with node.sessions() as session:
        query = (
            select(InstanceRow.received_at, DeliveryRow.stored_at)
            .join(DeliveryRow, DeliveryRow.study_instance_uid == InstanceRow.study_instance_uid)
            .where(DeliveryRow.stored_at.is_not(None))
            .order_by(DeliveryRow.stored_at.desc())
            .limit(last)
        )
        times = session.execute(query).all()
    return [(stored_at - received_at).total_seconds() for received_at, stored_at in times if stored_at is not None]


def send_studies(port: int, node: Node, first: int, count: int) -> None:
    """Send `count` studies of one view each, several at a time, so that each process of the receiver gets some."""
    view = make_view(1, *VIEWS[0], rows=64, columns=48).dataset
    with ExitStack() as stack:
        senders = [stack.enter_context(Sender(port)) for _ in range(RECEIVER_PROCESSES)]
        for sender in senders:
            assert sender.associate(calling=MODALITY) == 2
        for number in range(first, first + count):
            view.StudyInstanceUID, view.SeriesInstanceUID = f"2.25.1{number}", f"2.25.2{number}"
            view.SOPInstanceUID = f"2.25.3{number}"
            assert senders[number % len(senders)].store(view.SOPInstanceUID, encode(view)) == 0
            wait_for(node, number - IN_FLIGHT)


def wait_for(node: Node, count: int) -> None:
    wait_until(lambda: stored(node) >= count, told=lambda: f"{count} studies are not stored")


def through(node: Node, children: list[Child]) -> list[Part]:
    """Send all studies in ten parts, and return the measurements of each part."""
    share, parts = STUDIES // PARTS, []
    for part in range(PARTS):
        send_studies(int(children[0].word or 0), node, part * share, share)
        wait_for(node, (part + 1) * share)
        held = tuple(held for child in children for held in holdings(child.pid))
        parts.append(Part(held, median(latencies(node, share))))
    return parts


def test_the_last_studies_cost_what_the_first_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with redis_server(tmp_path, free_port()) as url:
        directory = hurried(tmp_path / "node", url)
        with directory.running(*PROCESSES, GLAM_NODE__NODE__RECEIVER_PROCESSES=str(RECEIVER_PROCESSES)) as children:
            names = [name for name, child in zip(PROCESSES, children, strict=True) for _ in holdings(child.pid)]
            parts = through(directory.build(), children)
    with capsys.disabled():
        print(f"\n== {STUDIES} studies, tenth by tenth")
        for number, name in enumerate(names):
            memory = " ".join(f"{part.held[number].resident_kib / 1024:.0f}" for part in parts)
            files = " ".join(str(part.held[number].files) for part in parts)
            print(f"{name:>12}  MiB {memory}  files {files}")
        print(f"{'latency':>12}  ms {' '.join(f'{part.latency_s * 1000:.0f}' for part in parts)}")
    early, late = parts[1], parts[-1]
    assert len(names) >= len(PROCESSES) + RECEIVER_PROCESSES - 1
    assert max(growth_kib(late.held, early.held)) < LARGEST_GROWTH_KIB
    for before, after in zip(early.held, late.held, strict=True):
        assert after.files <= before.files + 2
        assert after.threads <= before.threads + 1
    assert late.latency_s < LARGEST_LATENCY_RATIO * early.latency_s
