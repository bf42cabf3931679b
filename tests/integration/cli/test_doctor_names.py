"""Tests that `doctor` and `settings check` name mistakes of servers, disks, variables and settings."""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.command_line import glam_node
from tests.integration.archive import Archive
from tests.integration.cli.planting import Plot
from tests.integration.redis_server import redis_server
from tests.peers import PEERS
from tests.ports import free_port
from tests.posts import Posts
from tests.waiting import wait_for_listener

WITHOUT = [word for name in ("model", "database", "ports") for word in ("--without", name)]


def checks(settings: Path, **environment: str) -> dict[str, dict[str, str]]:
    """Run `doctor` and return its lines by check; if a check has two lines, the worse one."""
    told = json.loads(
        glam_node("doctor", "--json", "--settings", settings, *WITHOUT, expect=None, **environment).stdout
    )
    return {one["check"]: one for one in sorted(told, key=lambda one: ["ok", "warn", "FAIL"].index(one["verdict"]))}


def written(directory: Path, text: str) -> Path:
    """Write a settings file."""
    path = directory / "node.toml"
    path.write_text(f"storage.root = '{directory / 'storage'}'\n{text}\n")
    return path


def test_doctor_creates_no_storage_root(tmp_path: Path) -> None:
    told = checks(written(tmp_path, ""))["storage"]
    assert told["verdict"] != "FAIL"
    assert "does not exist yet" in told["fact"]
    assert not (tmp_path / "storage").exists()


def test_an_unknown_name_after_without_is_refused_with_all_names(tmp_path: Path) -> None:
    refused = glam_node("doctor", "--settings", written(tmp_path, ""), "--without", "nonsense", expect=2).output
    told = " ".join(refused.replace("│", " ").split())
    assert "there is no check nonsense" in told
    assert "storage, retention, ports" in told


def test_a_name_of_a_section_after_without_must_exist(plot: Plot, tmp_path: Path) -> None:
    settings = tmp_path / "node.json"
    settings.write_text(json.dumps(plot.sound()))
    glam_node("doctor", "--settings", settings, "--without", "destinations.archive", expect=None)
    refused = glam_node("doctor", "--settings", settings, "--without", "destinations.bogus", expect=2).output
    assert "there is no check destinations.bogus" in " ".join(refused.replace("│", " ").split())


def test_the_first_word_of_every_line_works_after_without(plot: Plot, tmp_path: Path) -> None:
    settings = tmp_path / "node.json"
    settings.write_text(json.dumps(plot.sound() | {"console": {"port": free_port(), "host": "127.0.0.1"}}))
    lines = json.loads(glam_node("doctor", "--json", "--settings", settings, expect=None).stdout)
    words = {line["check"].split()[0] for line in lines}
    assert words >= {"packages", "disk", "AE", "port", "console", "destinations.archive", "golden"}
    without = [argument for word in sorted({*words, "clock"}) for argument in ("--without", word)]
    assert json.loads(glam_node("doctor", "--json", "--settings", settings, *without).stdout) == []
    some = ("--without", "golden", "--without", "disk", "--without", "destinations.archive")
    left = json.loads(glam_node("doctor", "--json", "--settings", settings, *some, expect=None).stdout)
    assert {line["check"].split()[0] for line in left} == words - set(some)


def test_a_mistake_in_the_settings_cannot_be_left_out(tmp_path: Path) -> None:
    settings = written(tmp_path, "node.port = 0.5")
    told = glam_node("doctor", "--settings", settings, "--without", "settings", expect=1).stdout
    assert "-> Correct it. `glam-node settings explain node.port` shows the allowed values." in told


EXPLAINED = {
    "node.port = 0.5": "`glam-node settings explain node.port` shows the allowed values.",
    "node.port = 0.5\nnode.host = 1": "`glam-node settings explain KEY` shows the allowed values.",
    "peers.pacs = { ae_title = 'PACS', hosts = [1] }": "explain peers.pacs.hosts` shows",
}


@pytest.mark.parametrize(("text", "told"), EXPLAINED.items())
def test_a_wrong_value_is_followed_by_the_command_that_explains_its_key(text: str, told: str, tmp_path: Path) -> None:
    assert told in glam_node("settings", "check", "--settings", written(tmp_path, text), expect=1).stderr


@pytest.mark.parametrize("text", ["nod.port = 1", "node.prt = 1", "not TOML", None])
def test_mistakes_that_no_key_explains_are_not_followed_by_that_command(text: str | None, tmp_path: Path) -> None:
    settings = tmp_path / "away.toml" if text is None else written(tmp_path, text)
    assert "settings explain" not in glam_node("settings", "check", "--settings", settings, expect=1).stderr
    assert "settings explain" not in glam_node("doctor", "--settings", settings, expect=1).stdout


MISTYPED = {
    "GLAM_NODE_PORT": "GLAM_NODE__NODE__PORT",
    "GLAM_NODE_NODE__PORT": "GLAM_NODE__NODE__PORT",
    "GLAM_NODE_DATABASE_URL": "GLAM_NODE__DATABASE_URL",
    "GLAMNODE__BROKER_URL": "GLAM_NODE__BROKER_URL",
    "glam_node_console_port": "GLAM_NODE__CONSOLE__PORT",
    "GLAM_NODE_STORAGE_ROOTS": "GLAM_NODE__STORAGE__ROOT",
    "GLAM_NODE_SETTINGS_FILE": "GLAM_NODE_SETTINGS",
    "GLAM_NODE_PARENTS": "GLAM_NODE__SECTION__KEY",
    "glam_node_settings": "GLAM_NODE_SETTINGS",
}


@pytest.mark.parametrize(("name", "meant"), MISTYPED.items())
def test_a_mistyped_variable_is_named_with_the_right_spelling(name: str, meant: str, tmp_path: Path) -> None:
    settings = written(tmp_path, "")
    told = glam_node("settings", "check", "--settings", settings, expect=0, text="", **{name: "hunter2"}).stderr
    assert f"environment variable {name} is not a setting and is ignored" in told
    assert meant in told
    assert "hunter2" not in told
    if name == "GLAM_NODE_PORT":
        assert meant in checks(settings, **{name: "1"})["environment"]["fact"]


def test_variables_of_kubernetes_are_not_named(tmp_path: Path) -> None:
    services = {
        "GLAM_NODE_PORT": "tcp://10.0.0.1:11112",
        "GLAM_NODE_SERVICE_HOST": "10.0.0.1",
        "GLAM_NODE_PORT_11112_TCP_PORT": "11112",
        "GLAM_NODE_SERVICE_PORT_DICOM": "11112",
    }
    told = glam_node("settings", "check", "--settings", written(tmp_path, ""), expect=0, text="", **services)
    assert told.stderr == ""


REFUSED = {
    "tls.plain = false": "tls.plain: = false closes node.port",
    "console.port = 11112\nconsole.host = '0.0.0.0'": "console.port: 11112 is already node.port",
    "console.port = 11112": "console.port: 11112 is already node.port",
    "node.host = '127.0.0.1'\nconsole.port = 104\n"
    "tls = { port = 104, certificate = 'a', key = 'b', ca = 'c' }": "console.port: 104 is already tls.port",
    "destinations.x = { kind = 'folder', path = '/x', storage_commitment = true }": 'is for kind = "c-store"',
    "destinations.x = { kind = 'folder', path = '/x', host = 'h' }": "destinations.x.host: is for kind =",
}


@pytest.mark.parametrize(("text", "message"), REFUSED.items())
def test_settings_that_exclude_each_other_are_refused(text: str, message: str, tmp_path: Path) -> None:
    assert message in glam_node("settings", "check", "--settings", written(tmp_path, text), expect=1).stderr


IGNORED = {
    "console.idle_timeout = 60": "console.idle_timeout: is without effect: console.port is 0",
    "alerts.timeout = 5": "alerts.timeout: is without effect: neither alerts.webhook_url nor",
    "tls.certificate = 'a'": "tls.certificate: is without effect: tls.port is unset",
    "audit.port = 1": "audit.port: is without effect: audit.host is unset",
}


@pytest.mark.parametrize(("text", "message"), IGNORED.items())
def test_a_setting_without_effect_is_named(text: str, message: str, tmp_path: Path) -> None:
    assert message in glam_node("settings", "check", "--settings", written(tmp_path, text)).stderr


@contextmanager
def replica(directory: Path, primary: int) -> Iterator[str]:
    """Run a replica of the Redis on the port."""
    port = free_port()
    options = ["--bind", "127.0.0.1", "--save", "", "--dir", directory, "--replicaof", "127.0.0.1", primary]
    command = [PEERS["redis-server"].program, "--port", port, *options]
    with subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL) as process:
        try:
            wait_for_listener(port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()


@pytest.mark.peer("redis-server")
def test_a_read_only_replica_is_named(tmp_path: Path) -> None:
    port = free_port()
    with redis_server(tmp_path, port), replica(tmp_path, port) as url:
        told = checks(written(tmp_path, f"broker_url = '{url}'"))["broker"]
    assert told["verdict"] == "FAIL"
    assert "read-only replica" in told["fact"]


@pytest.mark.peer("redis-server")
def test_a_full_broker_is_named(tmp_path: Path) -> None:
    with redis_server(tmp_path, free_port(), "--maxmemory", "1kb") as url:
        told = checks(written(tmp_path, f"broker_url = '{url}'"))["broker"]
    assert told["verdict"] == "FAIL"
    assert "(maxmemory) are used" in told["fact"]


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="this machine has no tmpfs")
def test_a_storage_root_in_memory_is_named(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        (tmp_path / "node.toml").write_text(f"storage.root = '{memory}'\n")
        assert (
            "lies in memory (tmpfs)"
            in glam_node("doctor", "--settings", tmp_path / "node.toml", *WITHOUT, expect=None).stdout
        )


def test_servers_that_are_down_are_named_without_secrets(tmp_path: Path) -> None:
    settings = written(
        tmp_path,
        f"""
        telemetry.otlp_endpoint = "http://127.0.0.1:{free_port()}/hunter2"
        [alerts]
        webhook_url = "http://127.0.0.1:{free_port()}/hunter2"
        smtp_host = "127.0.0.1"
        smtp_port = {free_port()}
        smtp_security = "none"
        sender = "node@hospital.example"
        recipients = ["it@hospital.example"]
        timeout = 5
        """,
    )
    told = checks(settings)
    for name in ("alerts webhook", "alerts mail", "telemetry"):
        assert told[name]["verdict"] == "FAIL", told[name]
        assert told[name]["remedy"]
        assert "hunter2" not in json.dumps(told[name])


def test_a_webhook_and_a_collector_that_answer_are_ok(tmp_path: Path) -> None:
    posts = Posts("/v1/traces", ill_status=404)
    with posts.listening():
        text = f"alerts.webhook_url = '{posts.url}/x'\ntelemetry.otlp_endpoint = '{posts.url}'"
        told = checks(written(tmp_path, text))
    assert {told[name]["verdict"] for name in ("alerts webhook", "telemetry")} == {"ok"}


def test_an_archive_without_queries_is_named_if_it_must_confirm(tmp_path: Path, archive: Archive) -> None:
    text = f"""
    assembly.confirm_with = "archive"
    destinations.archive = {{ ae_title = "ARCHIVE", host = "127.0.0.1", port = {archive.port} }}
    """
    told = checks(written(tmp_path, text))["destinations.archive queries"]
    assert told["verdict"] == "FAIL"
    assert "accepts no queries" in told["fact"]
