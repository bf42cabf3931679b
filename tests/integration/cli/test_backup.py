"""Tests of `backup` and `restore`."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from glam_node.node.db import audit
from glam_node.node.domain.event import EventKind
from glam_node.node.run.all_in_one import only_one
from glam_node.node.storage.backup_files import Manifest, sha256_of
from glam_node.settings.load import load_settings
from tests.command_line import glam_node
from tests.integration.cli.conftest import Site
from tests.unit.workflow.workbench import Archive, down

FIRST = Path(__file__).parents[1] / "db" / "revision_0001.sql"


def moved(site: Site, tmp_path: Path) -> Path:
    """Write the settings of the backup with another storage root, and return their path."""
    own = (tmp_path / "backup" / "node.toml").read_text()
    path = tmp_path / "again.toml"
    path.write_text(own.replace(str(site.bench.store.root), str(tmp_path / "again")))
    return path


def test_a_node_is_made_again_with_the_settings_of_its_backup(site: Site, exam: list[Dataset], tmp_path: Path) -> None:
    site.bench.run(site.bench.submitted(*exam))
    site.bench.deliver(Archive(answer=down))
    told = glam_node("--settings", site.settings_path, "backup", tmp_path / "backup").stdout
    assert f"{tmp_path / 'backup'}: 1 study, 10 files" in told
    with site.bench.sessions() as session:
        (event,) = audit.recent(session, EventKind.STUDY_BACKED_UP, 10)
    assert event.detail == {"uri": (tmp_path / "backup").as_uri(), "images": 4}
    settings = moved(site, tmp_path)
    assert "1 study, 10 files" in glam_node("--settings", settings, "restore", tmp_path / "backup").stdout
    listed = [
        glam_node("--settings", path, "study", "list", "--json").stdout for path in (site.settings_path, settings)
    ]
    assert listed[0] == listed[1]


OF_AN_OLDER_VERSION = """
[node]
upper_layer = "pynetdicom"
[destinations.trial]
kind = "folder"
path = "results"
ae_title = "ARCHIVE"
host = "127.0.0.1"
port = 104
service_path = "/dicom-web"
tls = false
transfer_syntaxes = ["explicit_vr_little_endian", "implicit_vr_little_endian"]
storage_commitment = false
timeout = 30.0
[destinations.web]
kind = "stow-rs"
ae_title = "ARCHIVE"
transfer_syntaxes = ["explicit_vr_little_endian", "implicit_vr_little_endian"]
storage_commitment = false
[destinations.pacs]
kind = "c-store"
service_path = "/dicom-web"
"""
"""Parts of what an earlier version wrote into a backup: every kind of destination had the keys of all kinds."""


def test_settings_in_a_backup_of_an_older_version_can_be_used(site: Site, tmp_path: Path) -> None:
    glam_node("--settings", site.settings_path, "backup", tmp_path / "backup")
    path = tmp_path / "old.toml"
    path.write_text(f"storage.root = '{tmp_path / 'again'}'\n{OF_AN_OLDER_VERSION}")
    assert (
        "warn  node.upper_layer: no longer has an effect" in glam_node("settings", "check", "--settings", path).stderr
    )
    glam_node("--settings", path, "restore", tmp_path / "backup")
    assert load_settings(path, {}).destinations["trial"].kind == "folder"


def test_settings_in_a_backup_are_those_in_force_without_passwords(site: Site, tmp_path: Path) -> None:
    broker = "redis://:secret@127.0.0.1:6379/0"
    glam_node("--settings", site.settings_path, "backup", tmp_path / "backup", GLAM_NODE__BROKER_URL=broker)
    kept = tmp_path / "backup" / "node.toml"
    assert "secret" not in kept.read_text()
    stated = {**load_settings(kept, {}).model_dump(), "broker_url": ""}
    assert stated == load_settings(site.settings_path, {}).model_dump()


def test_backup_says_that_there_is_no_node(site: Site, tmp_path: Path) -> None:
    root = {"GLAM_NODE__STORAGE__ROOT": str(tmp_path / "nothing")}
    told = glam_node("--settings", site.settings_path, "backup", tmp_path / "backup", expect=1, **root)
    assert "There is no database of glam-node" in told.stderr
    assert not (tmp_path / "nothing").exists()


def test_a_backup_is_never_written_over(site: Site, tmp_path: Path) -> None:
    glam_node("--settings", site.settings_path, "backup", tmp_path / "backup")
    told = glam_node("--settings", site.settings_path, "backup", tmp_path / "backup", expect=1)
    assert "already exists" in told.stderr


def test_files_that_are_not_there_are_an_exit_code(site: Site, exam: list[Dataset], tmp_path: Path) -> None:
    site.bench.receive(*exam)
    site.bench.store.resolve(site.bench.study().instances[0].path).unlink()
    told = glam_node("--settings", site.settings_path, "backup", tmp_path / "backup", expect=1)
    assert "1 file could not be copied" in told.stderr


def test_a_root_that_holds_something_is_refused(site: Site, tmp_path: Path) -> None:
    glam_node("--settings", site.settings_path, "backup", tmp_path / "backup")
    told = glam_node("--settings", site.settings_path, "restore", tmp_path / "backup", expect=1)
    assert "is not empty" in told.stderr


def test_a_root_that_a_node_serves_is_refused(site: Site, tmp_path: Path) -> None:
    glam_node("--settings", site.settings_path, "backup", tmp_path / "backup")
    settings = moved(site, tmp_path)
    (tmp_path / "again").mkdir()
    with only_one(tmp_path / "again"):
        told = glam_node("--settings", settings, "restore", tmp_path / "backup", expect=1)
    assert "Another glam-node" in told.stderr


@pytest.mark.parametrize("content", ["", "{", '{"files": 3}'])
def test_a_directory_that_is_no_backup_is_refused(site: Site, tmp_path: Path, content: str) -> None:
    if content:
        (tmp_path / "manifest.json").write_text(content)
    root = {"GLAM_NODE__STORAGE__ROOT": str(tmp_path / "again")}
    told = glam_node("--settings", site.settings_path, "restore", tmp_path, expect=1, **root)
    assert "manifest.json" in told.stderr


def test_a_backup_of_the_first_version_is_restored_in_the_newest_schema(site: Site, tmp_path: Path) -> None:
    """Nothing but the record was kept: what was delivered is RETIRED, what was not says so when it is its turn."""
    backup = tmp_path / "backup"
    backup.mkdir()
    with closing(sqlite3.connect(backup / "database.sqlite")) as connection:
        connection.executescript(FIRST.read_text(encoding="utf-8"))
    digest = sha256_of(backup / "database.sqlite")
    Manifest("0.1.0", "0001", "", "database.sqlite", False, {"database.sqlite": digest}).write(backup)
    root = str(tmp_path / "again")
    told = glam_node("--settings", site.settings_path, "restore", backup, GLAM_NODE__STORAGE__ROOT=root).stdout
    assert "4 studies, 0 files\n1 finished study became RETIRED" in told
    listed = json.loads(
        glam_node("--settings", site.settings_path, "study", "list", "--json", GLAM_NODE__STORAGE__ROOT=root).stdout
    )
    assert [study["state"] for study in listed] == ["RECEIVING", "SUBMITTED", "REPORTED", "RETIRED"]
