"""A node with three accounts and one study, and its console."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from glam_node.inference.phantom import make_exam
from glam_node.inference.threshold import ThresholdPredictor
from glam_node.node.bootstrap import Node, build_node
from glam_node.node.console.app import create_console
from glam_node.node.db import migrate, studies
from glam_node.node.db.engine import open_database
from glam_node.node.domain.account import Role
from glam_node.node.domain.study import Standing
from glam_node.node.workflow.operate.accounts import new_account, set_account
from glam_node.settings.destinations import CStoreSettings, DestinationSettings
from glam_node.settings.schema import Settings, StorageSettings
from tests.builders import NOW, four_views
from tests.integration.console.browser import Browser, listening
from tests.ports import free_port
from tests.unit.workflow.workbench import Archive, Workbench, unsupported

PASSWORD = "correct horse battery"


@pytest.fixture(scope="session")
def exam() -> list[Dataset]:
    return [view.dataset for view in make_exam(3, rows=64, columns=48)]


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a database with three accounts, to be copied."""
    path = tmp_path_factory.mktemp("people") / "glam-node.sqlite"
    migrate.upgrade(f"sqlite:///{path}")
    sessions = open_database(f"sqlite:///{path}")
    with sessions.begin() as session:
        set_account(session, new_account("anna", Role.OPERATOR, PASSWORD), NOW)
        set_account(session, new_account("bert", Role.VIEWER, PASSWORD), NOW)
        set_account(session, new_account("carl", Role.VIEWER, PASSWORD, may_see_identity=True), NOW)
    sessions.kw["bind"].dispose()
    return path


@pytest.fixture
def node(tmp_path: Path, people: Path) -> Iterator[Node]:
    """Build a node with two archives that do not answer."""
    root = tmp_path / "root"
    root.mkdir()
    shutil.copy(people, root)
    destinations: dict[str, DestinationSettings] = {
        name: CStoreSettings(port=free_port(), timeout=3.0) for name in ("archive", "other")
    }
    node = build_node(Settings(storage=StorageSettings(root=root), destinations=destinations))
    yield node
    node.sessions.kw["bind"].dispose()


@pytest.fixture
def bench(node: Node) -> Workbench:
    """Return a workbench that does the work of the node's processes."""
    bench = Workbench(node.sessions, node.store, ThresholdPredictor(ThresholdPredictor.built_in_package()))
    bench.settings_digest = node.inference.identity.settings_digest
    return bench


@pytest.fixture
def uid(bench: Workbench) -> str:
    """Return the UID of the node's study, which is still being received."""
    bench.record(*four_views())
    return bench.study().study_instance_uid


@pytest.fixture
def reported(bench: Workbench, exam: list[Dataset]) -> str:
    """Return the UID of the node's study, reported and not delivered."""
    bench.run(bench.submitted(exam[1]))
    bench.deliver(Archive(answer=unsupported))
    return bench.study().study_instance_uid


@pytest.fixture
def port(node: Node, bench: Workbench) -> Iterator[int]:
    """Run the node's console with the workbench's clock, and yield its port."""
    with listening(create_console(node, "127.0.0.1", now=bench.clock)) as port:
        yield port


def signed_in(port: int, name: str) -> Browser:
    browser = Browser(port)
    assert f"{name} (" in browser.sign_in(name, PASSWORD)[1]
    return browser


def standing(node: Node, uid: str) -> Standing:
    """Return the standing of the study."""
    with node.sessions() as session:
        study = studies.get(session, uid)
    assert study is not None
    return study.standing


def form(browser: Browser, uid: str, verb: str, **fields: str) -> dict[str, str]:
    """Return the fields of the confirmation page, reached from the study's page."""
    shown = browser.ask(f"/studies/{uid}")[1]
    button = re.search(
        rf'action="(/studies/{uid}/acts/{verb})">\s*<input type="hidden" name="version" value="([0-9]+)"', shown
    )
    assert button, f"no button {verb}"
    status, page = browser.ask(f"{button[1]}?version={button[2]}")
    assert status == 200, page
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.partition("<main")[2]))
    return {**hidden, **fields}
