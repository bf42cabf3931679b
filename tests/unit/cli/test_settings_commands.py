"""Tests of `glam-node settings check`, `show` and `explain`."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from glam_node.settings.keys import keys
from glam_node.settings.reference import commented_file, reference
from tests.command_line import glam_node


def written(tmp_path: Path, text: str) -> Path:
    """Write a settings file and return its path."""
    path = tmp_path / "node.toml"
    path.write_text(text)
    return path


def test_check_says_that_settings_can_be_used(tmp_path: Path) -> None:
    path = written(tmp_path, "[node]\nport = 104")
    assert glam_node("settings", "check", "--settings", path).stdout == f"ok  {path}\n"


def test_a_message_of_check_has_one_full_stop_between_its_sentences(tmp_path: Path) -> None:
    tls = "tls = { port = 2762, client_certificate = 'none', certificate = 'a.crt', key = 'a.key' }"
    text = f"{tls}\nrules.young = {{ when = 'PatientAeg < 40Y' }}"
    told = glam_node("--settings", written(tmp_path, text), "settings", "check", expect=1).stderr
    told += glam_node("--settings", written(tmp_path, tls), "settings", "check", expect=1).stderr
    assert "did you mean PatientAge? (" in told
    assert "cannot be read: no such file or directory. Correct" in told
    assert not re.search(r"[.?]\.(?!\w)", told)


@pytest.mark.features("glam-node settings check")
def test_check_lists_every_mistake(tmp_path: Path) -> None:
    path = written(tmp_path, "[node]\nport = -1\nae_titel = 'X'")
    told = glam_node("--settings", path, "settings", "check", expect=1).stderr
    assert "node.port: -1 is not allowed" in told
    assert "node.ae_titel: unknown; did you mean node.ae_title?" in told


SIGN_IN = """
[console]
port = 8114
[console.oidc]
issuer = "https://login.hospital.example"
client_id = "glam-node"
client_secret_path = "{secret}"
public_url = "https://glam.hospital.example"
viewers = ["staff"]
"""


def test_check_reads_the_files_that_hold_passwords(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    path = written(tmp_path, SIGN_IN.format(secret=secret))
    told = glam_node("settings", "check", "--settings", path, expect=1).stderr
    assert f"console.oidc.client_secret_path: {secret} cannot be read: No such file or directory" in told
    secret.write_text("hunter2")
    secret.chmod(0o644)
    told = glam_node("settings", "check", "--settings", path).stderr
    assert f"warn  console.oidc.client_secret_path: other users may read {secret}" in told
    assert "hunter2" not in told
    secret.chmod(0o600)
    assert glam_node("settings", "check", "--settings", path).stderr == ""


def test_check_prints_json(tmp_path: Path) -> None:
    path = written(tmp_path, "[node]\nport = -1")
    told = json.loads(glam_node("settings", "check", "--settings", path, "--json", expect=1).stdout)
    assert (told["valid"], [problem["key"] for problem in told["problems"]]) == (False, ["node.port"])


def test_the_option_after_the_command_counts_most(tmp_path: Path) -> None:
    near, far = tmp_path / "near.toml", tmp_path / "far.toml"
    near.write_text("node.port = 1")
    far.write_text("node.port = 2")
    told = glam_node("--settings", far, "settings", "show", "--settings", near, GLAM_NODE_SETTINGS=str(far)).stdout
    assert tomllib.loads(told)["node"]["port"] == 1


def test_the_option_counts_more_than_the_variable(tmp_path: Path) -> None:
    path = written(tmp_path, "node.port = 1")
    told = glam_node("--settings", path, "settings", "show", "--json", GLAM_NODE_SETTINGS="/nowhere.toml").stdout
    assert json.loads(told)["node"]["port"] == 1


@pytest.mark.features("glam-node settings show")
def test_show_has_file_and_environment_together_without_passwords(tmp_path: Path) -> None:
    path = written(tmp_path, "database_url = 'postgresql+psycopg://glam:hunter2@db/glam'")
    told = glam_node("settings", "show", "--settings", path, GLAM_NODE__NODE__PORT="105").stdout
    assert tomllib.loads(told)["node"]["port"] == 105
    assert "glam:***@db" in told
    assert "hunter2" not in told


@pytest.mark.features("glam-node settings explain")
def test_explain_has_every_key() -> None:
    told = glam_node("settings", "explain").stdout
    assert [key.dotted for key in keys().values() if f"{key.dotted}  (" not in told] == []
    assert [key.dotted for key in keys().values() if key.environment_variable not in told] == []


def test_explain_takes_a_key_a_section_or_a_chosen_name() -> None:
    assert glam_node("settings", "explain", "node.port").stdout.startswith("node.port  (default 11112)")
    assert glam_node("settings", "explain", "peers.pacs").stdout.startswith("peers.NAME.ae_title  (required)")
    assert "delivery" not in glam_node("settings", "explain", "assembly").stdout


def test_explain_writes_the_reference_and_a_file_to_start_from() -> None:
    assert glam_node("settings", "explain", "--format", "markdown").stdout == reference()
    assert glam_node("settings", "explain", "--format", "toml").stdout == commented_file()
