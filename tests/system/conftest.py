"""One archive and one synthetic exam for all system tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.node_process import phantom_exam
from tests.system.orthanc import Orthanc, running_orthanc


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    """Yield an empty Orthanc."""
    with running_orthanc(tmp_path / "orthanc") as archive:
        yield archive


@pytest.fixture(scope="session")
def exam(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The files of one synthetic four-view exam, as `glam-node phantom` writes them."""
    return phantom_exam(tmp_path_factory.mktemp("exam"))
