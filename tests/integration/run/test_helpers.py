"""A receiver of several processes, with one port, one limit of associations and one end."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, select

from glam_node.node.db.tables import InstanceRow
from glam_node.node.run.supervisor import Child
from tests.data_sets import data_set
from tests.integration.modality import MODALITY
from tests.integration.node_directory import NodeDirectory, write_node
from tests.integration.scp.raw import Sender, p_data, pdv, store_rq
from tests.processes import children
from tests.waiting import wait_until

ACCEPTED, REJECTED = 2, 3
OUT_OF_RESOURCES = 0xA700


@contextmanager
def receiving(path: Path, **environment: str) -> Iterator[tuple[NodeDirectory, Child, int]]:
    """Run a receiver with one helper, and yield the node, the receiver and the helper's process id."""
    directory = write_node(path)
    with directory.running("receiver", GLAM_NODE__NODE__RECEIVER_PROCESSES="2", **environment) as [receiver]:
        (helper,) = children(receiver.pid)
        yield directory, receiver, helper


def sockets(pid: int) -> int:
    """Return the number of open sockets of a process."""
    return sum(
        str(one.readlink()).startswith("socket:") for one in Path(f"/proc/{pid}/fd").iterdir() if one.is_symlink()
    )


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists() or ") Z " in Path(f"/proc/{pid}/stat").read_text()


@contextmanager
def associated(receiver: Child) -> Iterator[Sender]:
    with Sender(int(receiver.word or 0)) as sender:
        assert sender.associate(calling=MODALITY) == ACCEPTED
        yield sender


def begin(sender: Sender, uid: str, data: bytes) -> None:
    """Send a C-STORE except its last two bytes."""
    sender.send(p_data(pdv(store_rq(uid), command=True, last=True)))
    sender.send(p_data(pdv(data[:-2], command=False, last=False)))


def end(sender: Sender, data: bytes) -> int:
    sender.send(p_data(pdv(data[-2:], command=False, last=True)))
    return sender.status()


def test_helpers_serve_every_second_association_within_one_limit_and_record_their_answers(
    tmp_path: Path,
) -> None:
    limit = {"GLAM_NODE__NODE__MAXIMUM_ASSOCIATIONS": "2"}
    with receiving(tmp_path, **limit) as (directory, receiver, helper), associated(receiver) as first:
        assert sockets(helper) == 1
        with associated(receiver) as second:
            for number in range(3):
                for sender, uid in ((first, f"1.2.1.{number}"), (second, f"1.2.2.{number}")):
                    assert sender.store(uid, data_set(uid, pixel_bytes=300_000)) == 0x0000
            assert sockets(helper) == 2
            with Sender(int(receiver.word or 0)) as third:
                assert third.associate(calling=MODALITY) == REJECTED
        wait_until(lambda: sockets(helper) == 1)
        node = directory.build()
        with node.sessions() as session:
            assert session.scalar(select(func.count()).select_from(InstanceRow)) == 6
        node.sessions.kw["bind"].dispose()


def test_either_process_finishes_a_half_received_instance_when_the_receiver_stops(tmp_path: Path) -> None:
    data = {uid: data_set(uid, pixel_bytes=100_000) for uid in ("1.2.1", "1.2.2")}
    with receiving(tmp_path) as (_, receiver, helper), associated(receiver) as first, associated(receiver) as second:
        begin(first, "1.2.1", data["1.2.1"])
        begin(second, "1.2.2", data["1.2.2"])
        wait_until(lambda: len(list((tmp_path / "storage" / "incoming").iterdir())) == 2)
        receiver.ask_to_stop()
        assert (end(first, data["1.2.1"]), end(second, data["1.2.2"])) == (0x0000, 0x0000)
        wait_until(lambda: is_gone(helper))


@pytest.mark.parametrize("whose", ["the receiver", "the helper"])
def test_the_receiver_restarts_all_processes_when_one_is_killed(tmp_path: Path, whose: str) -> None:
    with receiving(tmp_path) as (_, receiver, helper), associated(receiver), associated(receiver) as handed:
        first = receiver.pid
        os.kill(first if whose == "the receiver" else helper, signal.SIGKILL)
        assert handed.is_closed_within(60)
        wait_until(lambda: is_gone(first) and is_gone(helper))

        def is_back() -> bool:
            receiver.look()
            return receiver.pid != first and receiver.word is not None

        wait_until(is_back)
        with associated(receiver) as again:
            assert again.store("1.2.3", data_set("1.2.3")) == 0x0000


def test_helpers_get_reloaded_settings(tmp_path: Path) -> None:
    with receiving(tmp_path) as (directory, receiver, _), associated(receiver):
        with associated(receiver) as second:
            assert second.store("1.2.3", data_set("1.2.3")) == 0x0000
        text = directory.settings_path.read_text()
        directory.settings_path.write_text(text.replace("[storage]", f"[storage]\nminimum_free_bytes = {2**60}"))
        receiver.ask_to_reload()

        def is_refused() -> bool:
            with associated(receiver) as second:
                return second.store("1.2.4", data_set("1.2.4")) == OUT_OF_RESOURCES

        wait_until(is_refused)
