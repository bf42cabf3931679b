"""Acknowledged instances on a file system that fails to synchronise the directory of a new study."""

import subprocess
from pathlib import Path

import pytest
from pydicom import Dataset

from tests.integration.modality import associated, small_exam
from tests.integration.node_directory import NodeDirectory, write_node
from tests.peers import PEERS

SUCCESS = 0x0000
SOURCE = Path(__file__).with_name("failing_fsync.c")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the library to preload."""
    built = tmp_path_factory.mktemp("library") / "failing_fsync.so"
    subprocess.run([PEERS["gcc"].program, "-shared", "-fPIC", "-O1", "-o", built, SOURCE, "-ldl"], check=True)
    return built


def statuses(port: int, images: list[Dataset]) -> list[int]:
    """Return the C-STORE status of each image, sent over its own association."""
    found = []
    for image in images:
        with associated(port) as association:
            found.append(association.send_c_store(image).Status)
    return found


def failing(node: NodeDirectory, library: Path) -> dict[str, str]:
    """Return the environment of a process in which that directory cannot be synchronised."""
    return {
        "LD_PRELOAD": str(library),
        "FSYNC_OF": str(node.path / "storage" / "instances"),
        "FSYNC_FAILS_WHILE": str(node.path / "fails"),
        "FSYNC_NOTE": str(node.path / "succeeded"),
    }


@pytest.mark.peer("gcc")
def test_no_instance_of_a_study_is_acknowledged_before_its_directory_is_durable(library: Path, tmp_path: Path) -> None:
    node = write_node(tmp_path)
    (tmp_path / "fails").touch()
    exam = small_exam(1)
    with node.running("receiver", **failing(node, library)) as (receiver,):
        port = int(receiver.word or "")
        assert SUCCESS not in statuses(port, [*exam, exam[0]])
        (tmp_path / "fails").unlink()
        assert statuses(port, exam) == [SUCCESS] * len(exam)
        assert (tmp_path / "succeeded").exists()


@pytest.mark.peer("gcc")
def test_a_directory_that_another_receiver_left_unsynchronised_is_synchronised_again(
    library: Path, tmp_path: Path
) -> None:
    node = write_node(tmp_path)
    node.build().sessions.kw["bind"].dispose()  # without a database, no process starts beside images
    exam = small_exam(1)
    # A receiver that is killed between the two calls leaves such a directory.
    (tmp_path / "storage" / "instances" / exam[0].StudyInstanceUID).mkdir(parents=True)
    with node.running("receiver", **failing(node, library)) as (receiver,):
        assert not (tmp_path / "succeeded").exists()
        assert statuses(int(receiver.word or ""), exam) == [SUCCESS] * len(exam)
        assert (tmp_path / "succeeded").exists()
