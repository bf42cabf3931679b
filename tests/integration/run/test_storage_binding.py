"""Storage roots and databases that belong to each other, and those that do not."""

import json
import re
import signal
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text

from glam_node.node.console.health import checks
from glam_node.node.console.metrics_collector import measure
from glam_node.node.db import migrate
from glam_node.node.db.engine import database_url
from glam_node.node.domain.job import JobState
from glam_node.node.domain.study import StudyState
from glam_node.node.errors import PermanentError, TransientError
from glam_node.node.observe.metrics import FREE_BYTES
from glam_node.node.run.dispatcher import check_alerts, tick, tidy, write_audit_trail
from glam_node.node.storage.retired import RetiredFiles
from glam_node.node.storage.root import MARKER
from glam_node.node.worker.celery_app import create_app
from glam_node.node.worker.queue import CeleryQueue
from glam_node.node.workflow.analyse.run_job import root_cause
from glam_node.node.workflow.operate.retention import finish_retirement
from glam_node.node.workflow.record.alerts import StorageLoss
from tests.command_line import glam_node
from tests.integration.modality import associated, send, small_exam
from tests.integration.node_directory import NodeDirectory, write_node
from tests.integration.postgresql import execute, postgresql_server, url_of
from tests.integration.run.jobs_by_hand import run, state
from tests.integration.run.serving import serving
from tests.ports import free_port
from tests.preloaded import run_command
from tests.system.node_process import GLAM_NODE
from tests.waiting import wait_until


@pytest.fixture
def node(tmp_path: Path, redis_url: str) -> NodeDirectory:
    """Return a node with one study, whose database is beside its storage root."""
    database = f"sqlite:///{tmp_path / 'database.sqlite'}"
    node = write_node(tmp_path / "node", broker_url=redis_url, database_url=database, archive_port=free_port())
    with node.running("receiver") as (receiver,):
        send(int(receiver.word or ""), small_exam(1))
    return node


def with_root(node: NodeDirectory, directory: Path) -> NodeDirectory:
    """Return a node with the same database and another storage root."""
    directory.mkdir()
    text_ = node.settings_path.read_text().replace(str(node.path / "storage"), str(directory / "storage"))
    (directory / "node.toml").write_text(text_)
    return NodeDirectory(directory)


@pytest.mark.parametrize("command", ["worker", "serve", "receiver"])
def test_a_process_with_another_storage_root_does_not_start(command: str, node: NodeDirectory, tmp_path: Path) -> None:
    other = with_root(node, tmp_path / "other")
    done = run_command([GLAM_NODE, command], other.environment(), 120)
    assert done.returncode == 1
    assert "does not have its marker file" in done.stderr
    assert "Is the share or disk mounted?" in done.stderr
    assert not (other.path / "storage").exists()


def test_doctor_names_a_storage_root_of_another_database(node: NodeDirectory, tmp_path: Path) -> None:
    other = with_root(node, tmp_path / "other")
    told = json.loads(glam_node("doctor", "--json", "--settings", other.settings_path, expect=1).stdout)
    (check,) = [one for one in told if one["check"] == "storage" and one["verdict"] == "FAIL"]
    assert "does not have its marker file" in check["fact"]


def test_a_storage_root_is_refused_by_another_database(node: NodeDirectory) -> None:
    settings = node.settings_path.read_text().replace("database.sqlite", "new.sqlite")
    node.settings_path.write_text(settings)
    migrate.upgrade(f"sqlite:///{node.path.parent / 'new.sqlite'}")
    with pytest.raises(PermanentError, match="belongs to another database"):
        node.build()


@pytest.mark.parametrize("is_marked", [True, False], ids=["with its marker", "with images only"])
@pytest.mark.parametrize("command", ["worker", "serve", "receiver", "status"])
def test_a_process_does_not_replace_a_lost_database(
    command: str, is_marked: bool, node: NodeDirectory, tmp_path: Path
) -> None:
    database, marker = tmp_path / "database.sqlite", node.path / "storage" / MARKER
    identifier = marker.read_bytes()
    if not is_marked:
        assert any((node.path / "storage" / "instances").iterdir())
        marker.unlink()
    database.rename(tmp_path / "away.sqlite")
    done = run_command([GLAM_NODE, command], node.environment(), 120)
    assert done.returncode == 1
    assert f"{database} does not exist" in done.stderr
    assert f"Put {database} back" in done.stderr
    assert "`glam-node restore`" in done.stderr
    assert not database.exists()
    marker.write_bytes(identifier)
    (tmp_path / "away.sqlite").rename(database)
    node.build()


def test_doctor_names_a_lost_database(node: NodeDirectory, tmp_path: Path) -> None:
    (tmp_path / "database.sqlite").unlink()
    told = json.loads(glam_node("doctor", "--json", "--settings", node.settings_path, expect=1).stdout)
    (check,) = [one for one in told if one["check"] == "database"]
    assert check["verdict"] == "FAIL"
    assert "does not exist, but storage.root" in check["fact"]


def test_doctor_says_that_the_share_of_a_running_node_is_away(tmp_path: Path) -> None:
    node = write_node(tmp_path, port=free_port())
    root, away = node.path / "storage", node.path / "away"
    with serving(node):
        root.rename(away)
        root.mkdir()
        told = json.loads(glam_node("doctor", "--json", "--settings", node.settings_path, expect=1).stdout)
        root.rmdir()
        away.rename(root)
    for name in ("port", "database"):
        (check,) = [one for one in told if one["check"] == name]
        assert check["verdict"] == "FAIL"
        assert "a running glam-node (process " in check["fact"]
        assert "Check the mount of storage.root" in check["remedy"]
        assert "stop" not in check["remedy"]


def test_a_first_start_that_was_interrupted_before_the_marker_is_completed(tmp_path: Path) -> None:
    node = write_node(tmp_path)
    (node.path / "storage").mkdir()
    migrate.upgrade(database_url("", node.path / "storage"))
    node.build()
    assert (node.path / "storage" / MARKER).is_file()


def test_an_older_installation_is_bound_at_its_first_start(node: NodeDirectory) -> None:
    _as_before(node)
    marker = node.path / "storage" / MARKER
    node.build()
    assert marker.read_text().strip()
    assert marker.stat().st_mode & 0o077 == 0
    node.build()


def test_an_older_installation_is_not_bound_to_a_directory_without_its_files(
    node: NodeDirectory, tmp_path: Path
) -> None:
    _as_before(node)
    with pytest.raises(PermanentError, match=r"newest files that the database lists \(4\)"):
        with_root(node, tmp_path / "other").build()
    node.build()


def test_a_start_that_was_interrupted_after_the_marker_is_completed(node: NodeDirectory) -> None:
    with node.build().sessions.begin() as session:
        session.execute(text("UPDATE storage SET is_bound = false"))
    node.build()


def test_a_restored_node_has_a_storage_root_of_its_own(node: NodeDirectory, tmp_path: Path) -> None:
    glam_node("backup", tmp_path / "backup", "--settings", node.settings_path)
    other = with_root(node, tmp_path / "other")
    settings = other.settings_path.read_text().replace("database.sqlite", "restored.sqlite")
    other.settings_path.write_text(settings)
    glam_node("restore", tmp_path / "backup", "--settings", other.settings_path)
    other.build()
    markers = {(one.path / "storage" / MARKER).read_text() for one in (node, other)}
    assert len(markers) == 2


@pytest.mark.peer("postgresql")
def test_a_second_node_on_one_postgresql_does_not_start(tmp_path: Path) -> None:
    with postgresql_server() as server:
        execute(server, "CREATE DATABASE glam")
        url = url_of(server, "glam")
        write_node(tmp_path / "first", database_url=url).build().sessions.kw["bind"].dispose()
        with pytest.raises(PermanentError, match="does not have its marker file"):
            write_node(tmp_path / "second", database_url=url).build()


def test_a_job_waits_while_the_share_is_unmounted(node: NodeDirectory, redis_url: str) -> None:
    built, queue = node.build(), CeleryQueue(create_app(redis_url))
    root, away = node.path / "storage", node.path / "away"
    uid = small_exam(1)[0].StudyInstanceUID

    def is_submitted() -> bool:
        tick(built, queue, datetime.now(UTC))
        return state(built, uid) == (StudyState.SUBMITTED, JobState.PENDING)

    wait_until(is_submitted)
    root.rename(away)
    root.mkdir()
    with pytest.raises(TransientError, match="Is the share or disk mounted"):
        tick(built, queue, datetime.now(UTC))
    with pytest.raises(TransientError, match="Is the share or disk mounted"):
        tidy(built, datetime.now(UTC))
    assert not run(built, uid)
    assert state(built, uid) == (StudyState.SUBMITTED, JobState.PENDING)
    root.rmdir()
    away.rename(root)
    assert run(built, uid)
    assert state(built, uid) == (StudyState.REPORTED, JobState.SUCCEEDED)


def test_an_empty_mount_point_stays_empty_while_the_share_is_away(node: NodeDirectory) -> None:
    built = node.build()
    root = node.path / "storage"
    file = built.store.incoming(b"head")
    root.rename(node.path / "away")
    root.mkdir()
    for act in (
        lambda: write_audit_trail(built),
        lambda: tidy(built, datetime.now(UTC)),
        lambda: finish_retirement(built.sessions, built.store),
        lambda: built.store.link("conflicts/1.2.dcm", "instances/1/1.2.dcm"),
        lambda: built.store.admit(file, "instances/1/1.3.dcm"),
        lambda: built.store.incoming(b"head"),
    ):
        with pytest.raises(TransientError, match="Is the share or disk mounted"):
            act()
    RetiredFiles(root).remove("instances/1/1.2.dcm")
    assert list(root.iterdir()) == []


def test_serve_creates_nothing_in_the_mount_point_of_a_share_that_went_away(tmp_path: Path) -> None:
    node = write_node(tmp_path)
    root, away, images = node.path / "storage", node.path / "away", small_exam(2)
    log = node.path / "log"
    good = node.settings_path.read_text()
    with serving(node) as served:
        send(served.port, images[:1])
        root.rename(away)
        root.mkdir()
        with associated(served.port) as talking:
            assert talking.send_c_store(images[1]).Status == 0x0110
        changed = good.replace("initial_delay = 0.5", "initial_delay = 0.6")
        for text_, outcomes in ((changed, 1), ("not TOML", 2)):
            node.settings_path.write_text(text_)
            served.process.send_signal(signal.SIGHUP)
            wait_until(partial(_is_logged, log, "outcome_not_recorded", outcomes))
        wait_until(partial(_is_logged, log, "does not answer: unable to open database file", 2))
        assert list(root.iterdir()) == []
        root.rmdir()
        away.rename(root)
        node.settings_path.write_text(changed)
        send(served.port, images)
        assert "applied by" in glam_node("--settings", node.settings_path, "settings", "reload").stdout
    assert "lost its marker file" in log.read_text()


def test_a_new_connection_does_not_create_a_database_in_an_empty_mount_point(tmp_path: Path) -> None:
    node = write_node(tmp_path)
    built, root = node.build(), node.path / "storage"
    built.sessions.kw["bind"].dispose()
    root.rename(node.path / "away")
    root.mkdir()
    for act in (tidy, partial(check_alerts, loss=StorageLoss())):
        with pytest.raises(TransientError, match="unable to open database file"):
            act(built, datetime.now(UTC))
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("is_mounted_over", [True, False])
def test_health_and_metrics_report_a_storage_root_that_is_away(node: NodeDirectory, *, is_mounted_over: bool) -> None:
    built = node.build()
    (node.path / "storage").rename(node.path / "away")
    if is_mounted_over:
        (node.path / "storage").mkdir()
    (storage,) = [check for check in checks(built) if check.name == "storage"]
    assert not storage.ok
    assert "Is the share or disk mounted?" in storage.fact
    assert str(node.path) not in storage.fact
    assert [one.value for one in measure(built, datetime.now(UTC)) if one.metric is FREE_BYTES] == [0]


@pytest.mark.parametrize("command", [("settings", "reload"), ("status",)])
def test_a_command_names_a_storage_root_whose_share_is_not_mounted(command: tuple[str, ...], tmp_path: Path) -> None:
    node = write_node(tmp_path)
    node.build()
    (node.path / "storage").rename(node.path / "away")
    (node.path / "storage").mkdir()
    told = " ".join(glam_node("--settings", node.settings_path, *command, expect=1).stderr.split())
    assert f"storage.root {node.path / 'storage'} has no storage-id: either no node was ever started on it, or" in told
    assert "No node runs" not in told


def test_health_states_the_free_space_when_it_is_too_little(node: NodeDirectory) -> None:
    written = node.settings_path.read_text()
    node.settings_path.write_text(written.replace("[storage]", f"[storage]\nminimum_free_bytes = {2**62}"))
    (storage,) = [check for check in checks(node.build()) if check.name == "storage"]
    assert not storage.ok
    assert re.fullmatch(rf"[0-9]+ bytes are free; below {2**62} bytes C-STORE is refused\.", storage.fact)


@pytest.mark.parametrize("error", [PermanentError("Image 1.2 cannot be read any more"), FileNotFoundError(2, "x")])
def test_a_failure_while_the_share_is_lost_is_not_permanent(error: Exception, node: NodeDirectory) -> None:
    store = node.build().store
    assert root_cause(error, store) is error
    (node.path / "storage").rename(node.path / "away")
    assert isinstance(root_cause(error, store), TransientError)


def _is_logged(log: Path, words: str, times: int) -> bool:
    return log.read_text().count(words) >= times


def _as_before(node: NodeDirectory) -> None:
    """Make it an installation of a version that knew no marker files."""
    built = node.build()
    with built.sessions.begin() as session:
        session.execute(text("DELETE FROM storage"))
    (node.path / "storage" / MARKER).unlink()
