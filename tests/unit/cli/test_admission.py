"""Tests of the settings that a rejection suggests: appended to the settings file, they admit the peer."""

from pathlib import Path

import pytest

from glam_node.node.scp.access import Caller, admission
from glam_node.settings.load import load_settings
from glam_node.settings.reference import section_to_append
from tests.command_line import glam_node

DOTTED = 'peers.pacs = { ae_title = "PACS", hosts = ["10.0.0.5"], priority = "urgent" }\nnode.port = 104\n'


def written_by_init(path: Path) -> None:
    options = {"ae-title": "GLAMNODE", "port": "11112", "pacs": "PACS@10.0.0.5", "archive": "A@127.0.0.1:104"}
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    glam_node("init", path, *arguments, "--storage", path.parent / "storage")


@pytest.fixture(params=["init", "dotted keys", "no peers"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "node.toml"
    if request.param == "init":
        written_by_init(path)
    else:
        path.write_text(DOTTED if request.param == "dotted keys" else "node.port = 104\n")
    return path


@pytest.mark.parametrize("title", ["STRANGER", "PACS", "pacs", 'ORTHANC "1"', "@"])
def test_the_suggested_settings_admit_the_peer_at_the_end_of_the_file(path: Path, title: str) -> None:
    caller = Caller("10.0.0.9")
    before = load_settings(path, {})
    rejection = admission(title, "GLAMNODE", caller, before.node, before.peers)
    assert rejection is not None
    path.write_text(f"{path.read_text()}\n{rejection.remedy}\n")
    after = load_settings(path, {})
    assert admission(title, "GLAMNODE", caller, after.node, after.peers) is None
    assert len(after.peers) == len(before.peers) + 1


def test_a_peer_at_another_address_keeps_its_other_settings(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text(DOTTED)
    settings = load_settings(path, {})
    rejection = admission("PACS", "GLAMNODE", Caller("10.0.0.9"), settings.node, settings.peers)
    assert rejection is not None
    path.write_text(f"{DOTTED}\n{rejection.remedy}\n")
    assert load_settings(path, {}).peers["pacs_2"].priority == "urgent"


def test_the_section_that_the_doctor_suggests_for_a_peer_fits_the_file_of_init(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    written_by_init(path)
    path.write_text(f"{path.read_text()}\n{section_to_append('peers.archive', ae_title='A', hosts=['10.0.0.1'])}\n")
    assert load_settings(path, {}).peers["archive"].ae_title == "A"
