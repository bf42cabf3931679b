"""Several receivers of one node, on one storage root and one PostgreSQL database."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from blake3 import blake3
from sqlalchemy import select

from glam_node.node.bootstrap import Node
from glam_node.node.db import audit, studies
from glam_node.node.db.tables import InstanceRow
from glam_node.node.domain.eligibility import judge
from glam_node.node.domain.event import EventKind
from glam_node.node.domain.study import StudyState
from glam_node.node.workflow.assemble.completion import close_complete_studies
from tests.builders import after
from tests.data_sets import data_set
from tests.integration.modality import MODALITY, send, small_exam
from tests.integration.node_directory import NodeDirectory, write_node
from tests.integration.postgresql import execute, postgresql_server, url_of
from tests.integration.scp.raw import Sender, p_data, pdv, store_rq
from tests.preloaded import Popen
from tests.torture.ledger import data_set_bytes
from tests.waiting import wait_until

pytestmark = pytest.mark.peer("postgresql")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeDirectory]:
    with postgresql_server() as server:
        execute(server, "CREATE DATABASE node")
        yield write_node(tmp_path_factory.mktemp("node"), database_url=url_of(server, "node"))


@pytest.fixture(scope="module")
def node(directory: NodeDirectory) -> Iterator[Node]:
    built = directory.build()
    yield built
    built.sessions.kw["bind"].dispose()


@pytest.fixture(scope="module")
def ports(directory: NodeDirectory) -> Iterator[list[int]]:
    """Start two receivers and yield their ports: one as `serve` starts it, one by the command."""
    command = [sys.executable, "-m", "glam_node", "receiver"]
    with (
        Popen(command, env=directory.environment(), stdout=subprocess.PIPE, text=True) as process,
        directory.running("receiver") as [one],
    ):
        assert process.stdout is not None
        told = re.fullmatch(r"glam-node: listening on 127\.0\.0\.1:(\d+) as GLAMNODE\n", process.stdout.readline())
        assert told
        yield [int(one.word or 0), int(told[1])]
        process.terminate()
        assert process.wait(60) == 0


def half_sent(port: int, uid: str, data: bytes) -> Sender:
    """Return a sender that has sent the first half of a C-STORE."""
    sender = Sender(port)
    assert sender.associate(calling=MODALITY) == 2
    sender.send(p_data(pdv(store_rq(uid), command=True, last=True)))
    sender.send(p_data(pdv(data[: len(data) // 2], command=False, last=False)))
    return sender


def parts(node: Node) -> list[Path]:
    return list((node.store.root / "incoming").iterdir())


def kept(node: Node, uid: str) -> bytes:
    """Return the data set on disk under that UID, after comparing its digest with the database."""
    with node.sessions() as session:
        row = session.scalars(select(InstanceRow).where(InstanceRow.sop_instance_uid == uid)).one()
    data = data_set_bytes(node.store.resolve(row.path))
    assert blake3(data).hexdigest() == row.blake3
    return data


def test_a_starting_receiver_removes_files_of_killed_receivers_but_not_those_of_running_ones(
    directory: NodeDirectory, node: Node, ports: list[int]
) -> None:
    data, lost = data_set("2.25.7001", pixel_bytes=200_000), data_set("2.25.7002", pixel_bytes=200_000)
    with half_sent(ports[0], "2.25.7001", data) as sender, directory.running("receiver") as [doomed]:
        with half_sent(int(doomed.word or 0), "2.25.7002", lost):
            wait_until(lambda: len(parts(node)) == 2)
            os.kill(doomed.pid, signal.SIGKILL)
        with directory.running("receiver"):
            assert len(parts(node)) == 1
        sender.send(p_data(pdv(data[len(data) // 2 :], command=False, last=True)))
        assert sender.status() == 0x0000
    assert parts(node) == []
    assert kept(node, "2.25.7001") == data


def test_two_receivers_keep_both_versions_of_an_instance_that_arrive_at_the_same_moment(
    node: Node, ports: list[int]
) -> None:
    uids = [f"2.25.71{number}" for number in range(40)]
    versions = {uid: [data_set(uid, ImageLaterality=side, pixel_bytes=9000) for side in "LR"] for uid in uids}

    def deliver(place: int) -> list[int]:
        with Sender(ports[place]) as sender:
            assert sender.associate(calling=MODALITY) == 2
            return [sender.store(uid, versions[uid][place]) for uid in uids]

    with ThreadPoolExecutor(2) as both:
        assert [set(statuses) for statuses in both.map(deliver, (0, 1))] == [{0x0000}, {0x0000}]
    beside = {path.name: data_set_bytes(path) for path in (node.store.root / "conflicts").iterdir()}
    for uid in uids:
        other = next(data for name, data in beside.items() if name.startswith(f"{uid}-"))
        assert sorted([kept(node, uid), other]) == sorted(versions[uid])
    with node.sessions() as session:
        told = audit.recent(session, EventKind.INSTANCE_DUPLICATE, 100)
    assert [event.detail["same_bytes"] for event in told] == [False] * len(uids)


def test_two_patients_in_one_study_are_detected_across_two_receivers_in_either_order(
    node: Node, ports: list[int]
) -> None:
    for number, order in enumerate((ports, ports[::-1])):
        exam = small_exam(73 + number)
        for image in exam[2:]:
            image.PatientID, image.PatientBirthDate = "", "19010101"
        with ThreadPoolExecutor(2) as senders:
            list(senders.map(lambda port, views: send(port, views), order, (exam[:2], exam[2:])))
        with node.sessions() as session:
            study = studies.get(session, exam[0].StudyInstanceUID)
        assert study is not None
        judged = judge(study, node.submission_policy.eligibility)
        assert (judged.rule, judged.reason.partition(": ")[2]) == ("two_patients", "birth date differs")


def test_a_study_that_arrives_at_two_receivers_is_one_study(node: Node, ports: list[int]) -> None:
    exam = small_exam(71)
    with ThreadPoolExecutor(4) as senders:
        list(senders.map(lambda port, view: send(port, [view]), ports * 2, exam))
    with node.sessions.begin() as session:
        closed = close_complete_studies(session, after(10**9), node.assembly_policy)
    [whole] = [study for study in closed if study.study_instance_uid == exam[0].StudyInstanceUID]
    assert (whole.state, len(whole.instances)) == (StudyState.COMPLETE, 4)
