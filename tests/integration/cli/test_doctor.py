"""Tests of `glam-node doctor` and `glam-node echo`."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from glam_node.node.db import studies
from glam_node.node.run.all_in_one import LOCK_FILE, only_one
from tests.command_line import THRESHOLD, glam_node
from tests.integration.archive import Archive
from tests.integration.cli.conftest import Site
from tests.integration.redis_server import redis_server
from tests.ports import free_port


def examined(site: Site, more: dict[str, str] | None = None, expect: int | None = 0) -> dict[str, dict[str, Any]]:
    """Run `doctor` and return its lines by the name of the check."""
    result = glam_node("--settings", site.settings_path, "doctor", "--json", expect=expect, **(more or {}))
    return {line["check"]: line for line in json.loads(result.stdout)}


def test_a_sound_site_has_no_fail(site: Site) -> None:
    lines = examined(site)
    assert {line["verdict"] for line in lines.values()} <= {"ok", "warn"}
    assert {"packages", "decoders", "settings", "storage", "port", "database", "broker", "peers", "model"} <= set(lines)


def test_doctor_prints_one_line_per_check_with_its_remedy_below(site: Site) -> None:
    told = glam_node("--settings", site.settings_path, "doctor").stdout.splitlines()
    model = next(number for number, line in enumerate(told) if line.startswith("warn model"))
    assert "UNTRAINED" in told[model]
    assert "-> Import your own weights" in told[model + 1]


@pytest.fixture(scope="module")
def closed_port() -> int:
    """Return a port on which no program listens."""
    return free_port()


@pytest.fixture(scope="module")
def taken_port() -> Iterator[int]:
    """Yield a port on which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield int(other.getsockname()[1])


MISTAKES = [
    ({"NODE__PORT": "{taken}"}, "port", "Address already in use"),
    ({"NODE__HOST": "203.0.113.1", "NODE__PORT": "11112"}, "port", "cannot be used"),
    ({"STORAGE__ROOT": "/dev/null/root"}, "storage", "cannot be written"),
    ({"STORAGE__MINIMUM_FREE_BYTES": str(10**18)}, "storage", "GB free"),
    ({"BROKER_URL": "redis://127.0.0.1:{closed}/0"}, "broker", "does not answer"),
    ({"DATABASE_URL": "postgresql+psycopg://glam:hunter2@127.0.0.1:{closed}/glam"}, "database", "does not answer"),
    ({"DESTINATIONS__PACS__PORT": "{closed}"}, "destinations.pacs", "connection refused"),
    ({"DESTINATIONS__PACS__HOST": "nowhere.invalid"}, "destinations.pacs", "has no address"),
    ({"INFERENCE__PACKAGE": "/nowhere"}, "model", "is not a model package"),
    ({"INFERENCE__PREDICTOR": "nowhere:Predictor"}, "model", "cannot be loaded"),
    ({"INFERENCE__DEVICE": "cuda:77", "INFERENCE__PREDICTOR": "glam_node.inference.glam.predictor:GlamPredictor"},
     "model", "cuda"),
    ({"NODE__PORT": "-1"}, "settings", "node.port: -1 is not allowed"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "check", "fact"), MISTAKES, ids=[" ".join(given) for given, _, _ in MISTAKES])
def test_a_mistake_is_found_and_named(
    site: Site, closed_port: int, taken_port: int, given: dict[str, str], check: str, fact: str
) -> None:
    environment = {
        f"GLAM_NODE__{key}": value.format(closed=closed_port, taken=taken_port) for key, value in given.items()
    }
    lines = examined(site, environment, expect=1)
    assert [name for name, line in lines.items() if line["verdict"] == "FAIL"] == [check]
    assert fact in lines[check]["fact"]
    assert lines[check]["remedy"]
    assert "hunter2" not in str(lines)


def test_a_site_without_peers_and_destinations_is_warned(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text(
        f"node.port = 0\nstorage.root = '{tmp_path}'\ninference.predictor = '{THRESHOLD}'"
    )
    told = glam_node("--settings", tmp_path / "node.toml", "doctor").stdout
    assert "warn peers" in told
    assert "warn destinations" in told


def test_self_test_sends_nothing_to_the_archive(site: Site, archive: Archive) -> None:
    at = {"KIND": "c-store", "HOST": "127.0.0.1", "PORT": str(archive.port)}
    result = glam_node(
        "--settings", site.settings_path, "doctor", "--self-test", "--without", "model", "--json", expect=0, text="",
        **{f"GLAM_NODE__DESTINATIONS__PACS__{key}": value for key, value in at.items()},
    )  # fmt: skip
    lines = {line["check"]: line for line in json.loads(result.stdout)}
    told = ["self-test start", "self-test C-STORE", "self-test results", "self-test truth"]
    assert [lines[name]["verdict"] for name in told] == ["ok"] * 4
    assert "4 SEG, 1 SR" in lines["self-test results"]["fact"]
    assert "last C-STORE to last result stored" in lines["self-test results"]["fact"]
    assert lines["self-test truth"]["fact"].startswith("4 of 4 lesions outlined")
    assert not archive.received
    with site.bench.sessions() as session:
        assert studies.counts_by_state(session) == {}


@pytest.mark.parametrize(
    "other", [Archive("GLAMNODE", calling_ae_titles=["OTHER"]), Archive("OTHER")], ids=["calling", "called"]
)
def test_a_running_node_with_other_settings_than_the_file_is_to_be_reloaded(site: Site, other: Archive) -> None:
    other.start()
    more = {"GLAM_NODE__NODE__PORT": str(other.port)}
    try:
        with only_one(site.bench.store.root):
            line = examined(site, more, expect=None)["C-ECHO"]
    finally:
        other.stop()
    assert "`glam-node settings reload`" in line["fact"]
    assert "archive" not in line["fact"] + line["remedy"]


@pytest.mark.peer("redis-server")
def test_a_worker_that_loads_its_model_is_not_called_missing(site: Site, exam: list[Dataset], tmp_path: Path) -> None:
    site.bench.submitted(*exam)
    with redis_server(tmp_path, free_port()) as url, only_one(site.bench.store.root):
        line = examined(site, {"GLAM_NODE__BROKER_URL": url}, expect=None)["workers"]
        assert line["verdict"] == "warn"
        assert "no worker is ready yet" in line["fact"]
        os.utime(site.bench.store.root / LOCK_FILE, (0, 0))
        line = examined(site, {"GLAM_NODE__BROKER_URL": url}, expect=1)["workers"]
    assert line["verdict"] == "FAIL"
    assert "no worker runs" in line["fact"]


HANGING = """
import time
from glam_node.node.cli.checks import Check, CheckTask, Verdict, run_checks
hangs = CheckTask("hangs", lambda: time.sleep(600) or [], 0.5)
well = CheckTask("well", lambda: [Check("well", Verdict.OK, "")])
broken = CheckTask("broken", lambda: 1 / 0)
print([(check.name, str(check.verdict)) for check in run_checks([hangs, well, broken])])
"""


def test_a_check_that_hangs_or_fails_does_not_stop_the_others() -> None:
    done = subprocess.run([sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[('hangs', 'FAIL'), ('well', 'ok'), ('broken', 'FAIL')]\n"


def reached(site: Site, archive: Archive, expect: int = 0, *, port: int = 0) -> dict[str, Any]:
    """Return the answer of `echo` for the archive."""
    environment = {
        "GLAM_NODE__DESTINATIONS__PACS__PORT": str(port or archive.port),
        "GLAM_NODE__DESTINATIONS__PACS__AE_TITLE": archive.ae_title,
    }
    result = glam_node("--settings", site.settings_path, "echo", "pacs", "--json", expect=expect, **environment)
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def test_echo_reaches_a_destination(site: Site, archive: Archive) -> None:
    told = reached(site, archive)
    assert told["ok"]
    assert told["milliseconds"] > 0


def test_echo_says_why_a_destination_is_not_reached(site: Site, archive: Archive, closed_port: int) -> None:
    assert "connection refused" in reached(site, archive, expect=1, port=closed_port)["message"]


def test_echo_names_the_destinations_there_are(site: Site) -> None:
    assert "archive" in glam_node("--settings", site.settings_path, "echo", "pacs", expect=2).stderr
