"""Fixtures: the storage root of a node, made without processes, and a place for planted mistakes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from glam_node.inference.phantom import make_exam
from glam_node.inference.threshold import ThresholdPredictor, threshold_package
from glam_node.node.db import migrate
from glam_node.node.db.engine import database_url, open_database
from glam_node.node.storage.instances import InstanceStore
from glam_node.settings.digest import settings_digest
from glam_node.settings.load import load_settings
from tests.certificates import Authority
from tests.command_line import THRESHOLD
from tests.integration.cli.planting import Plot, plotted
from tests.unit.workflow.workbench import Workbench


@dataclass(frozen=True, slots=True)
class Site:
    """A settings file, and the node that it describes."""

    settings_path: Path
    bench: Workbench


@pytest.fixture(scope="session")
def exam() -> list[Dataset]:
    """Return the views R CC, L CC, R MLO and L MLO, each with a lesion."""
    return [view.dataset for view in make_exam(3, rows=128, columns=96)]


@pytest.fixture(scope="module")
def plot(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plot]:
    """Return the place where the tests of a module plant their mistakes."""
    with plotted(tmp_path_factory.mktemp("plot"), authority) as made:
        yield made


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Return a node that has received nothing yet."""
    root = tmp_path / "root"
    settings_path = tmp_path / "node.toml"
    settings_path.write_text(
        f"""
storage.root = "{root}"
inference.predictor = "{THRESHOLD}"
node.host = "127.0.0.1"
node.port = 0
peers.pacs = {{ ae_title = "PACS", hosts = ["127.0.0.1"] }}
destinations.archive = {{ kind = "folder", path = "{tmp_path / "archive"}" }}
"""
    )
    store = InstanceStore(root)
    url = database_url("", root)
    migrate.upgrade(url)
    sessions = open_database(url)
    bench = Workbench(sessions, store, ThresholdPredictor(threshold_package(tmp_path / "package")))
    bench.settings_digest = settings_digest(load_settings(settings_path, {}))
    yield Site(settings_path, bench)
    sessions.kw["bind"].dispose()
