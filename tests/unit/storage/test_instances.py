"""Received instances are durable, and readable by the user of the node only."""

import errno
import fcntl
import hashlib
import os
import stat
import threading
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from glam_node.node.errors import TransientError
from glam_node.node.storage import instances
from glam_node.node.storage.instances import IncomingFile, InstanceStore, is_valid_uid
from glam_node.node.storage.root import StorageRoot, write_marker


@pytest.fixture
def store(tmp_path: Path) -> InstanceStore:
    return InstanceStore(tmp_path / "root")


def arrived(store: InstanceStore, data: bytes = b"data") -> IncomingFile:
    """Return a file that has arrived in two pieces."""
    file = store.incoming(b"head")
    file.write([memoryview(data[:2])])
    file.write([memoryview(data[2:])])
    return file


def incoming(store: InstanceStore) -> list[Path]:
    return list((store.root / "incoming").iterdir())


def test_an_admitted_instance_is_complete_in_its_place_only(store: InstanceStore) -> None:
    file = arrived(store)
    store.admit(file, "instances/1.2/3.dcm")
    file.discard()
    assert store.resolve("instances/1.2/3.dcm").read_bytes() == b"headdata"
    assert incoming(store) == []


def test_an_admitted_instance_can_be_moved_aside(store: InstanceStore) -> None:
    file = arrived(store)
    store.admit(file, "instances/1.2/3.dcm")
    store.admit(file, "conflicts/3.dcm")
    assert not store.resolve("instances/1.2/3.dcm").exists()
    assert store.resolve("conflicts/3.dcm").read_bytes() == b"headdata"


def test_digests_and_byte_count_leave_out_the_head(store: InstanceStore) -> None:
    file = arrived(store)
    assert (file.blake3, file.sha256()) == (blake3(b"data").hexdigest(), hashlib.sha256(b"data").hexdigest())
    assert file.byte_count == 4


def test_file_and_directories_are_synchronised_before_admit_returns(
    store: InstanceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    synchronised: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synchronised.append(str(Path(f"/proc/self/fd/{fd}").resolve())))
    store.admit(arrived(store), "instances/1.2/3.dcm")
    study = store.root / "instances" / "1.2"
    assert synchronised[:2] == [str(store.root), str(study.parent)]
    assert set(synchronised[2:]) == {str(study), str(study / "3.dcm")}


@pytest.mark.parametrize("what", ["3.dcm", "1.2"])
def test_an_instance_that_cannot_be_synchronised_is_not_kept(
    store: InstanceStore, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    fsync = os.fsync

    def fail(fd: int) -> None:
        if Path(f"/proc/self/fd/{fd}").resolve().name == what:
            raise OSError(errno.EIO, "input/output error")
        fsync(fd)

    file = arrived(store)
    store.resolve("instances/1.2").mkdir(parents=True)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="input/output"):
        store.admit(file, "instances/1.2/3.dcm")
    file.discard()
    assert list(store.resolve("instances/1.2").iterdir()) == []


def test_a_large_instance_is_complete_after_early_writing(store: InstanceStore) -> None:
    data = os.urandom(3 * 2**20)
    file = store.incoming(b"head")
    for _ in range(4):
        file.write([memoryview(data)])
    store.admit(file, "instances/1.2/3.dcm")
    assert store.resolve("instances/1.2/3.dcm").read_bytes() == b"head" + 4 * data


def test_a_discarded_instance_is_removed(store: InstanceStore) -> None:
    arrived(store).discard()
    assert incoming(store) == []


def test_a_head_that_cannot_be_written_leaves_no_file(store: InstanceStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "writev", disk_full)
    with pytest.raises(OSError, match="No space"):
        store.incoming(b"head")
    assert incoming(store) == []


def test_a_short_write_is_continued(store: InstanceStore, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:1]))
    file = arrived(store)
    assert file.path.read_bytes() == b"headdata"


def test_sweep_removes_partial_instances_of_a_receiver_that_exited(store: InstanceStore) -> None:
    (store.root / "incoming" / "1.part").write_bytes(b"of a receiver that was killed")
    store.admit(arrived(store), "instances/1.2/3.dcm")
    assert store.sweep() == 1
    assert incoming(store) == []
    assert store.resolve("instances/1.2/3.dcm").exists()


def test_sweep_keeps_partial_instances_of_a_running_receiver(store: InstanceStore) -> None:
    file = arrived(store)
    assert InstanceStore(store.root).sweep() == 0
    file.sync()
    assert InstanceStore(store.root).sweep() == 0
    store.admit(file, "instances/1.2/3.dcm")
    assert store.resolve("instances/1.2/3.dcm").read_bytes() == b"headdata"


def test_a_file_swept_right_after_its_creation_is_created_again(
    store: InstanceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock, swept = fcntl.flock, []

    def sweep_first(descriptor: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        swept.append(InstanceStore(store.root).sweep())
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", sweep_first)
    file = arrived(store)
    assert swept == [1]
    assert file.path.read_bytes() == b"headdata"


def test_two_receivers_do_not_keep_instances_of_one_uid_at_the_same_time(store: InstanceStore) -> None:
    inside = threading.Event()

    def keep() -> None:
        with InstanceStore(store.root).exclusively("1.2.3"):
            inside.set()

    with store.exclusively("1.2.3"):
        other = threading.Thread(target=keep)
        other.start()
        assert not inside.wait(0.2)
    assert inside.wait(5)
    other.join()


def test_only_the_user_of_the_node_may_read_images(store: InstanceStore) -> None:
    store.admit(arrived(store), "instances/1.2/3.dcm")
    assert stat.S_IMODE(store.resolve("instances/1.2/3.dcm").stat().st_mode) == 0o600
    assert stat.S_IMODE(store.root.stat().st_mode) == 0o700
    assert stat.S_IMODE(store.resolve("instances/1.2").stat().st_mode) == 0o700


def test_free_bytes_are_those_of_the_disk_under_the_root(store: InstanceStore) -> None:
    assert 0 < store.free_bytes() < 2**60


@pytest.mark.parametrize("uid", ["1", "0.1", "1.2.840.10008.1.1", "2.25." + "9" * 39, "1." + "2" * 62])
def test_a_uid_is_valid(uid: str) -> None:
    assert is_valid_uid(uid)


@pytest.mark.parametrize(
    "uid", ["", ".", "1.", "1..2", "../x", "1/2", "1.2\n", "1.2 ", "1.2\0", "1.\u0662", "1." + "2" * 63]
)
def test_an_invalid_uid_is_not_accepted(uid: str) -> None:
    assert not is_valid_uid(uid)


@given(st.text(alphabet=st.sampled_from("0123456789./\\\0\n a"), max_size=70))
def test_no_valid_uid_leaves_its_directory(uid: str) -> None:
    if instances.is_valid_uid(uid):
        assert (Path("/root/instances") / f"{uid}.dcm").resolve() == Path("/root/instances") / f"{uid}.dcm"


def test_the_marker_is_checked_again_when_its_file_is_another_one(store: InstanceStore, tmp_path: Path) -> None:
    write_marker(store.root, "first")
    root = StorageRoot(store.root)
    assert root.is_there()
    assert root.is_there()
    write_marker(store.root, "first")
    assert root.is_there()
    write_marker(store.root, "other")
    assert not root.is_there()
    write_marker(store.root, "first")
    assert root.is_there()
    store.root.rename(tmp_path / "away")
    assert not root.is_there()
    (tmp_path / "away").rename(store.root)
    assert root.is_there()


def test_a_store_is_not_opened_in_a_directory_without_its_marker(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="Is the share or disk mounted"):
        InstanceStore(tmp_path, "first")
    assert list(tmp_path.iterdir()) == []
