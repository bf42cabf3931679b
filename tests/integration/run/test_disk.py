"""A disk that fills: reception stops, then new work; both resume by themselves when there is room."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from glam_node.node.domain.job import JobState
from glam_node.node.domain.study import StudyState
from glam_node.node.errors import TransientError
from glam_node.node.run.dispatcher import tick
from glam_node.node.worker.celery_app import create_app
from glam_node.node.worker.queue import CeleryQueue
from tests.data_sets import data_set
from tests.integration.modality import MODALITY, send, small_exam
from tests.integration.node_directory import NodeDirectory, write_node
from tests.integration.run.jobs_by_hand import run, state
from tests.integration.scp.raw import Sender
from tests.waiting import wait_until

pytestmark = pytest.mark.peer("redis-server")

MIB = 2**20
BESIDE = Path("/dev/shm")
"""A file system in memory, whose free space changes little by other programs."""


@pytest.fixture
def directory(redis_url: str) -> Iterator[NodeDirectory]:
    """Return a node that refuses images when one step of space is used, and pauses when three are used."""
    with tempfile.TemporaryDirectory(dir=BESIDE if BESIDE.is_dir() else None) as name:
        directory = write_node(Path(name), broker_url=redis_url)
        free = directory.build().store.free_bytes()
        text = directory.settings_path.read_text()
        step = step_of(free)
        marks = f"minimum_free_bytes = {free - step}\npause_free_bytes = {free - 3 * step}\n"
        directory.settings_path.write_text(text.replace("[storage]\n", f"[storage]\n{marks}"))
        yield directory


def step_of(free: int) -> int:
    """Return the bytes of a step: more than other programs write meanwhile, at most an eighth of the disk."""
    return min(64 * MIB, free // 8)


def fill(directory: NodeDirectory, steps: int) -> None:
    """Use up the space of so many steps."""
    with (directory.path / "ballast").open("wb") as ballast:
        if steps:
            os.posix_fallocate(ballast.fileno(), 0, steps * step_of(shutil.disk_usage(directory.path).free))


def answer(port: int, uid: str) -> int:
    with Sender(port) as sender:
        assert sender.associate(calling=MODALITY) == 2
        return sender.store(uid, data_set(uid))


def test_a_full_disk_stops_reception_then_analysis_and_nothing_is_lost(
    directory: NodeDirectory, redis_url: str
) -> None:
    node, queue = directory.build(), CeleryQueue(create_app(redis_url))
    first, second = small_exam(81), small_exam(82)
    one, two = first[0].StudyInstanceUID, second[0].StudyInstanceUID

    def look() -> None:
        tick(node, queue, datetime.now(UTC))

    def is_submitted(uid: str) -> bool:
        look()
        return state(node, uid) == (StudyState.SUBMITTED, JobState.PENDING)

    with directory.running("receiver") as [receiver]:
        port = int(receiver.word or 0)
        send(port, first)

        fill(directory, 2)
        assert answer(port, "2.25.801") == 0xA700
        wait_until(lambda: is_submitted(one))

        fill(directory, 0)
        send(port, second)
        fill(directory, 5)
        for _ in range(3):
            with pytest.raises(TransientError, match=r"no study is completed and no job started.*pause_free_bytes"):
                look()
        assert not run(node, one)
        assert state(node, one) == (StudyState.SUBMITTED, JobState.PENDING)
        assert state(node, two) == (StudyState.RECEIVING, None)

        fill(directory, 0)
        assert answer(port, "2.25.802") == 0x0000
        wait_until(lambda: is_submitted(two))
        assert run(node, one)
        assert run(node, two)
        assert state(node, one) == state(node, two) == (StudyState.REPORTED, JobState.SUCCEEDED)
