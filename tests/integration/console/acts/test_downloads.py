"""Tests of the download of a study's results when it does not come to its end."""

import os
from http.client import IncompleteRead
from pathlib import Path

import pytest

from glam_node.node.bootstrap import Node
from glam_node.node.db import deliveries
from tests.integration.console.acts.conftest import signed_in
from tests.waiting import wait_until

LARGE_BYTES = 2**25
"""More than the buffers of a connection hold."""


@pytest.fixture
def results(node: Node, reported: str) -> list[Path]:
    """Return the paths of the study's results, each as large as a multiframe object."""
    with node.sessions() as session:
        paths = [node.store.resolve(one.path) for one in deliveries.of_study(session, reported)]
    for path in paths:
        os.truncate(path, LARGE_BYTES)
    return paths


def is_open(path: Path) -> bool:
    """Return whether this process, which serves the console, has the file open."""
    return any(one.exists() and one.samefile(path) for one in Path("/proc/self/fd").iterdir())


def test_a_download_whose_files_vanish_breaks_off(port: int, reported: str, results: list[Path]) -> None:
    with signed_in(port, "carl").open(f"/studies/{reported}/results.zip") as answer:
        answer.read(1)
        for path in results:
            path.unlink()
        with pytest.raises(IncompleteRead):
            while answer.read(2**20):
                pass


def test_an_aborted_download_keeps_no_file_open(port: int, reported: str, results: list[Path]) -> None:
    with signed_in(port, "carl").open(f"/studies/{reported}/results.zip") as answer:
        answer.read(1)
    wait_until(lambda: not any(map(is_open, results)))
