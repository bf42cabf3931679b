"""Durable files are complete or absent."""

import os
import threading
from pathlib import Path

import pytest

from glam_node.node.storage import files
from glam_node.node.storage.files import make_directory, write_durably


@pytest.fixture
def synchronised(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return a list of the directories that are synchronised, in order."""
    seen: list[Path] = []
    monkeypatch.setattr(files, "sync_directory", seen.append)
    return seen


def test_write_durably_leaves_the_file_and_nothing_else(tmp_path: Path) -> None:
    write_durably(tmp_path / "new" / "file", b"first")
    write_durably(tmp_path / "new" / "file", b"second")
    assert (tmp_path / "new" / "file").read_bytes() == b"second"
    assert list((tmp_path / "new").iterdir()) == [tmp_path / "new" / "file"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_durably(tmp_path / "file", b"old")

    def disk_full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(OSError, match="No space"):
        write_durably(tmp_path / "file", b"new")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_every_new_directory_is_durable_in_its_parent(tmp_path: Path, synchronised: list[Path]) -> None:
    make_directory(tmp_path / "a" / "b")
    assert synchronised[-2:] == [tmp_path, tmp_path / "a"]


def test_a_directory_that_was_there_before_this_process_is_synchronised_once(
    tmp_path: Path, synchronised: list[Path]
) -> None:
    (tmp_path / "study").mkdir()
    make_directory(tmp_path / "study")
    assert synchronised[-1] == tmp_path
    synchronised.clear()
    make_directory(tmp_path / "study")
    assert synchronised == []


def test_a_directory_that_was_removed_is_synchronised_again(tmp_path: Path, synchronised: list[Path]) -> None:
    for _ in range(2):
        make_directory(tmp_path / "study")
        assert synchronised[-1] == tmp_path
        (tmp_path / "study").rmdir()
        synchronised.clear()
        (tmp_path / "study").mkdir()  # by another process
        make_directory(tmp_path / "study")
        assert synchronised == [tmp_path]


@pytest.mark.parametrize("made_by_another", [False, True])
def test_a_directory_counts_as_durable_only_after_its_name_was_synchronised(
    made_by_another: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failing = os.fsync, [True]

    def fsync(descriptor: int) -> None:
        if failing and Path(f"/proc/self/fd/{descriptor}").readlink() == tmp_path:
            raise OSError(5, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    if made_by_another:
        (tmp_path / "study").mkdir()
    for _ in range(3):
        with pytest.raises(OSError, match="Input/output"):
            write_durably(tmp_path / "study" / "file", b"x")
    assert not (tmp_path / "study" / "file").exists()
    failing.clear()
    write_durably(tmp_path / "study" / "file", b"x")


def test_a_new_file_is_removed_if_its_name_cannot_be_synchronised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Path) -> None:
        raise OSError(5, "Input/output error")

    make_directory(tmp_path)
    monkeypatch.setattr(files, "sync_directory", broken)
    with pytest.raises(OSError, match="Input/output"):
        write_durably(tmp_path / "file", b"new")
    assert list(tmp_path.iterdir()) == []


def test_other_threads_wait_until_a_new_directory_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_directories_of_many_studies_leave_few_files_open(tmp_path: Path) -> None:
    make_directory(tmp_path / "instances")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(100):
        make_directory(tmp_path / "instances" / f"2.25.{number}")
    assert len(list(Path("/proc/self/fd").iterdir())) - before <= 8


def test_the_folder_of_all_studies_is_synchronised_once_in_a_process(tmp_path: Path, synchronised: list[Path]) -> None:
    make_directory(tmp_path / "instances")
    synchronised.clear()
    for number in range(100):
        make_directory(tmp_path / "instances" / f"2.25.{number}")
    assert synchronised == [tmp_path / "instances"] * 100
