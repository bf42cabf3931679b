"""Tests of `glam-node init`, which writes a commented settings file."""

from pathlib import Path

import pytest

from glam_node.settings.load import load_settings
from tests.command_line import glam_node

GIVEN = {
    "--ae-title": "GLAM",
    "--port": "11120",
    "--pacs": "PACS1@10.0.0.0/24",
    "--archive": "VNA@10.0.0.5:11112",
    "--storage": "/srv/glam",
}


def options(**changed: str) -> list[str]:
    return [
        text for option in (GIVEN | {f"--{name}": value for name, value in changed.items()}).items() for text in option
    ]


@pytest.mark.features("glam-node init")
def test_the_file_has_the_chosen_values_and_explains_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    told = glam_node("init", path, *options()).stdout
    settings = load_settings(path, {})
    assert (settings.node.ae_title, settings.node.port, settings.storage.root) == ("GLAM", 11120, Path("/srv/glam"))
    assert (settings.peers["pacs"].ae_title, settings.peers["pacs"].hosts) == ("PACS1", ("10.0.0.0/24",))
    archive = settings.archives["archive"]
    assert (archive.ae_title, archive.host, archive.port) == ("VNA", "10.0.0.5", 11112)
    assert "# Seconds without a new instance after which any study is complete." in path.read_text()
    assert "Route studies from" in told


def test_settings_check_has_no_warning_about_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    glam_node("init", path, *options())
    checked = glam_node("settings", "check", "--settings", path)
    assert (checked.stdout, checked.stderr) == (f"ok  {path}\n", "")


def test_init_asks_for_options_that_are_not_given(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    glam_node("init", path, text="GLAM\n104\nPACS\nVNA@archive.example:104\n/srv\n")
    settings = load_settings(path, {})
    assert (settings.node.port, settings.peers["pacs"].hosts) == (104, ())
    assert settings.archives["archive"].host == "archive.example"


def test_a_bad_answer_is_refused_with_its_reason_and_the_question_is_repeated(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    answers = [
        "SEVENTEEN LETTERS",
        "GLAM",
        "0",
        "104",
        "PACS@pacs.example",
        "PACS@10.0.0.1",
        "VNA",
        "VNA@vna:104",
        "/srv",
    ]
    told = glam_node("init", path, text="".join(f"{answer}\n" for answer in answers)).output
    assert "1 to 16 printable ASCII characters" in told
    assert "an address such as 10.0.0.5" in told
    assert "does not have the form AE@HOST:PORT" in told
    settings = load_settings(path, {})
    assert (settings.node.ae_title, settings.node.port, settings.peers["pacs"].hosts) == ("GLAM", 104, ("10.0.0.1",))


def test_an_existing_file_is_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text("mine")
    assert "exists." in glam_node("init", path, *options(), expect=2).stderr
    assert path.read_text() == "mine"


@pytest.mark.parametrize(("option", "value", "words"), [("archive", "VNA", "AE@HOST:PORT"), ("pacs", "@", "AE@HOST")])
def test_a_malformed_value_is_refused_with_its_form(tmp_path: Path, option: str, value: str, words: str) -> None:
    told = glam_node("init", tmp_path / "node.toml", *options(**{option: value}), expect=2).stderr
    assert words in told
    assert not (tmp_path / "node.toml").exists()


@pytest.mark.parametrize(
    ("option", "value", "key"),
    [
        ("ae-title", "SEVENTEEN LETTERS", "node.ae_title"),
        ("pacs", "PACS@pacs.example", "peers.pacs.hosts[0]"),
        ("archive", "VNA@10.0.0.5:99999", "destinations.archive.port"),
    ],
)
def test_a_value_that_is_not_allowed_writes_no_file(tmp_path: Path, option: str, value: str, key: str) -> None:
    told = glam_node("init", tmp_path / "node.toml", *options(**{option: value}), expect=2).stderr
    assert key in told.replace("\n", "")
    assert not (tmp_path / "node.toml").exists()


def test_the_check_of_the_file_has_no_warnings(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    glam_node("init", path, *options())
    assert glam_node("settings", "check", "--settings", path, text="").stderr == ""
