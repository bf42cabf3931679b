"""Files that are whole or not there."""

import os
import threading
from pathlib import Path

import pytest

from glam_node.node.storage import files
from glam_node.node.storage.files import make_directory, write_durably


@pytest.fixture
def synchronised(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every directory that was synchronised, in order."""
    seen: list[Path] = []
    monkeypatch.setattr(files, "sync_directory", seen.append)
    return seen


def test_a_written_file_holds_the_data_and_nothing_else_is_left(tmp_path: Path) -> None:
    write_durably(tmp_path / "new" / "file", b"first")
    write_durably(tmp_path / "new" / "file", b"second")
    assert (tmp_path / "new" / "file").read_bytes() == b"second"
    assert list((tmp_path / "new").iterdir()) == [tmp_path / "new" / "file"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_durably(tmp_path / "file", b"old")

    def disk_full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(OSError, match="No space"):
        write_durably(tmp_path / "file", b"new")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_every_new_directory_is_durable_in_its_parent(tmp_path: Path, synchronised: list[Path]) -> None:
    make_directory(tmp_path / "a" / "b")
    assert synchronised == [tmp_path, tmp_path / "a"]


def test_a_directory_that_is_there_costs_nothing(tmp_path: Path, synchronised: list[Path]) -> None:
    make_directory(tmp_path)
    assert synchronised == []


def test_nobody_relies_on_a_directory_before_it_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    durable, seen_durable = threading.Event(), []

    def slowly(_: Path) -> None:
        threading.Timer(0.1, durable.set).start()
        durable.wait(5)

    def other() -> None:
        make_directory(tmp_path / "study")
        seen_durable.append(durable.is_set())

    monkeypatch.setattr(files, "sync_directory", slowly)
    thread = threading.Thread(target=make_directory, args=(tmp_path / "study",))
    thread.start()
    while not (tmp_path / "study").exists():
        pass
    other()
    thread.join()
    assert seen_durable == [True]
