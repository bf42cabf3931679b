"""Tests of the checks for certificates that cannot be used or that expire soon."""

import json
import socket
from datetime import timedelta
from pathlib import Path

import pytest

from tests.certificates import Authority, Signed
from tests.command_line import glam_node


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


def written(tmp_path: Path, signed: Signed, section: str = "tls", more: str = "port = 0") -> Path:
    """Write a settings file with the certificate in `section` and return its path."""
    files = f"certificate = '{signed.certificate}'\nkey = '{signed.key}'\nca = '{signed.ca}'"
    path = tmp_path / "node.toml"
    path.write_text(f"[{section}]\n{more}\n{files}\n")
    return path


SECTIONS = [
    ("tls", "port = 0"),
    ("destinations.archive", "tls = true\nport = 1\ntimeout = 1.0"),
    ("audit", "host = '127.0.0.1'\nport = 1\ntimeout = 1.0"),
]
both = pytest.mark.parametrize(("section", "more"), SECTIONS, ids=["tls", "destination", "audit"])


@both
def test_a_valid_certificate_is_ok(authority: Authority, tmp_path: Path, section: str, more: str) -> None:
    checked = glam_node("--settings", written(tmp_path, authority.sign("node"), section, more), "settings", "check")
    assert (checked.stdout[:2], checked.stderr) == ("ok", "")


@both
@pytest.mark.parametrize("missing", ["certificate", "key", "ca"])
def test_a_missing_file_is_named(authority: Authority, tmp_path: Path, section: str, more: str, missing: str) -> None:
    signed = authority.sign("node")
    path = written(tmp_path, signed, section, more)
    getattr(signed, missing).unlink()
    told = glam_node("--settings", path, "settings", "check", expect=1).stderr
    assert f"{section}.{missing} {getattr(signed, missing)} cannot be read: no such file" in told


@both
def test_a_key_of_another_certificate_is_found(authority: Authority, tmp_path: Path, section: str, more: str) -> None:
    node, other = authority.sign("node"), authority.sign("other")
    path = written(tmp_path, Signed(node.certificate, other.key, node.ca), section, more)
    told = glam_node("--settings", path, "settings", "check", expect=1).stderr
    assert f"{section}.key {other.key} does not belong to it" in told


def test_doctor_asks_for_no_running_archive_if_the_key_of_the_node_is_wrong(
    authority: Authority, tmp_path: Path
) -> None:
    node, other = authority.sign("node"), authority.sign("other")
    signed = Signed(node.certificate, other.key, node.ca)
    words = [word for name in ("model", "database", "storage", "broker") for word in ("--without", name)]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"host = '127.0.0.1'\nport = {listener.getsockname()[1]}\ntls = true\ntimeout = 1.0"
        path = written(tmp_path, signed, "destinations.archive", address)
        told = json.loads(glam_node("--settings", path, "doctor", "--json", *words, expect=1).stdout)
    (line,) = (line for line in told if line["check"] == "destinations.archive TLS")
    assert "does not belong to it" in line["fact"]
    assert line["remedy"] == "Correct destinations.archive.certificate, .key and .ca."


def test_a_model_package_that_cannot_be_read_is_refused_as_the_worker_refuses_it(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        told = glam_node("settings", "check", expect=1, GLAM_NODE__INFERENCE__PACKAGE=str(path)).stderr
        assert f"inference.package: {path} is not a model package" in told


def test_a_model_package_may_be_on_the_machines_of_the_workers_only(tmp_path: Path) -> None:
    broker = "redis://broker:6379/0"
    told = glam_node(
        "settings", "check", GLAM_NODE__INFERENCE__PACKAGE=str(tmp_path), GLAM_NODE__BROKER_URL=broker
    ).stderr
    assert f"warn  inference.package: {tmp_path} is not a model package" in told


DATES = [
    (timedelta(days=-9), timedelta(minutes=-1), 1, "it has expired"),
    (timedelta(days=1), timedelta(days=99), 1, "not yet"),
    (timedelta(days=-9), timedelta(days=29, hours=1), 0, "29 days left"),
]


@both
@pytest.mark.parametrize(("start", "end", "expect", "words"), DATES, ids=["expired", "not yet", "soon"])
def test_an_invalid_period_of_a_certificate_is_found(
    authority: Authority,
    tmp_path: Path,
    section: str,
    more: str,
    start: timedelta,
    end: timedelta,
    expect: int,
    words: str,
) -> None:
    signed = authority.sign("node", starts_in=start, ends_in=end)
    path = written(tmp_path, signed, section, more)
    told = glam_node("--settings", path, "settings", "check", expect=expect).stderr
    assert f"{section}.certificate" in told
    assert words in told


def test_a_key_that_others_may_read_is_a_warning_for_machines_too(authority: Authority, tmp_path: Path) -> None:
    signed = authority.sign("node")
    signed.key.chmod(0o644)
    path = written(tmp_path, signed)
    told = json.loads(glam_node("--settings", path, "settings", "check", "--json").stdout)
    assert told["valid"]
    assert [warning["key"] for warning in told["warnings"]] == ["tls.certificate"]
    assert "chmod 600" in told["warnings"][0]["message"]


def test_doctor_has_a_line_for_the_certificate_and_for_the_port(authority: Authority, tmp_path: Path) -> None:
    path = written(tmp_path, authority.sign("node", ends_in=timedelta(minutes=-1)))
    root = {"GLAM_NODE__STORAGE__ROOT": str(tmp_path / "root")}
    lines = json.loads(glam_node("--settings", path, "doctor", "--json", expect=1, **root).stdout)
    verdicts = {line["check"]: line["verdict"] for line in lines}
    assert (verdicts["tls certificate"], verdicts["TLS port"]) == ("FAIL", "ok")


def test_no_key_is_ever_shown(authority: Authority, tmp_path: Path) -> None:
    signed = authority.sign("node")
    secret = signed.key.read_text().splitlines()[1]
    broken = written(tmp_path, Signed(signed.key, signed.certificate, signed.ca))
    for command in ("check", "show"):
        told = glam_node("--settings", broken, "settings", command, expect=command == "check")
        assert secret not in told.stdout + told.stderr
