"""Actions of several people at once, on a database whose locks are those of single studies."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from glam_node.node.bootstrap import Node, build_node
from glam_node.node.db import migrate, studies
from glam_node.node.domain.account import Role
from glam_node.node.domain.study import Standing
from glam_node.node.workflow.operate.accounts import new_account, set_account
from glam_node.settings.schema import Settings, StorageSettings
from tests.builders import NOW, four_views
from tests.integration.console.acts.conftest import PASSWORD, form, standing
from tests.integration.console.browser import Browser
from tests.integration.postgresql import execute, postgresql_server, url_of
from tests.unit.workflow.workbench import Workbench

pytestmark = pytest.mark.peer("postgresql")
BUSY, FREE = "2.25.101", "2.25.102"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """Build a node on PostgreSQL with two operators."""
    with postgresql_server() as server:
        execute(server, "CREATE DATABASE node")
        url = url_of(server, "node")
        migrate.upgrade(url)
        node = build_node(Settings(storage=StorageSettings(root=tmp_path / "root"), database_url=url))
        with node.sessions.begin() as session:
            for name in ("anna", "bert"):
                set_account(session, new_account(name, Role.OPERATOR, PASSWORD), NOW)
        yield node
        node.sessions.kw["bind"].dispose()


@pytest.mark.timeout(120)
def test_an_action_that_waits_for_its_study_does_not_block_other_actions(
    node: Node, bench: Workbench, port: int
) -> None:
    for uid in (BUSY, FREE):
        bench.record(*four_views(study_instance_uid=uid))
    anna, bert = Browser(port), Browser(port)
    anna.sign_in("anna", PASSWORD)
    bert.sign_in("bert", PASSWORD)
    of_anna, of_bert = form(anna, BUSY, "hold"), form(bert, FREE, "hold")
    with ThreadPoolExecutor(1) as thread:
        with node.sessions.begin() as session:
            studies.get(session, BUSY, for_update=True)
            waiting = thread.submit(anna.ask, f"/studies/{BUSY}/acts/hold", of_anna)
            status, page = bert.ask(f"/studies/{FREE}/acts/hold", of_bert)
            assert (status, "Hold: the study is held" in page) == (200, True)
            assert not waiting.done()
        assert waiting.result()[0] == 200
    assert standing(node, BUSY) is standing(node, FREE) is Standing.HELD
