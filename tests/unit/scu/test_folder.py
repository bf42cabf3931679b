"""A folder in place of an archive."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from glam_node.node.domain.ports import OutgoingInstance
from glam_node.node.scu.folder import FolderDestination


def outgoing(path: Path, data: bytes = b"result") -> OutgoingInstance:
    """Return a result object on disk."""
    path.write_bytes(data)
    return OutgoingInstance("1.2.840.10008.5.1.4.1.1.88.33", "1.2.3", "1.2.840.10008.1.2.1", path)


def test_a_result_is_a_file_named_by_its_uid(tmp_path: Path) -> None:
    [outcome] = FolderDestination("trial", tmp_path / "out").store([outgoing(tmp_path / "x")])
    assert outcome.stored
    assert (tmp_path / "out" / "1.2.3.dcm").read_bytes() == b"result"


def test_storing_a_result_again_changes_nothing(tmp_path: Path) -> None:
    instance = outgoing(tmp_path / "x")
    outcomes = FolderDestination("trial", tmp_path / "out").store([instance, instance])
    assert [outcome.stored for outcome in outcomes] == [True, True]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["1.2.3.dcm"]


def test_an_unavailable_folder_is_a_transient_failure(tmp_path: Path) -> None:
    instance = outgoing(tmp_path / "x")
    [outcome] = FolderDestination("trial", tmp_path / "x" / "out").store([instance])
    assert (outcome.stored, outcome.transient) == (False, True)
    assert outcome.failure.endswith(
        "file exists. Make it a directory that the node's user may write to, or correct destinations.trial.path."
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
def test_a_full_folder_is_to_be_emptied(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(folder)], check=True)
    try:
        [outcome] = FolderDestination("trial", folder).store([outgoing(tmp_path / "x", bytes(65536))])
    finally:
        # The process holds directories open that it has synchronised.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
    assert (outcome.stored, outcome.transient) == (False, True)
    assert outcome.failure.endswith("no space left on device. Free some space there. The node tries again.")


def test_a_result_without_its_file_does_not_delay_others(tmp_path: Path) -> None:
    there = outgoing(tmp_path / "x")
    away = replace(there, sop_instance_uid="1.2.4", path=tmp_path / "away")
    first, second = FolderDestination("trial", tmp_path / "out").store([away, there])
    assert (first.stored, first.transient, second.stored) == (False, True, True)
    assert "away" in first.failure
