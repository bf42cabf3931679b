"""A receiver of several processes, with one port, one limit of associations and one end."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import func, select

from glam_node.node.db.tables import InstanceRow
from glam_node.node.run.supervisor import Child
from tests.data_sets import data_set
from tests.integration.modality import MODALITY
from tests.integration.node_directory import NodeDirectory, write_node
from tests.integration.scp.raw import Sender, p_data, pdv, store_rq
from tests.processes import children, sockets
from tests.waiting import wait_until

ACCEPTED, REJECTED = 2, 3
OUT_OF_RESOURCES = 0xA700
TRIES = 20


@contextmanager
def receiving(path: Path, **node: str) -> Iterator[tuple[NodeDirectory, Child, list[int]]]:
    """Run a receiver of two processes, and yield the node, their parent and their process ids."""
    directory, given = write_node(path), {"RECEIVER_PROCESSES": "2", **node}
    settings = {f"GLAM_NODE__NODE__{name}": value for name, value in given.items()}
    with directory.running("receiver", **settings) as [receiver]:
        yield directory, receiver, children(receiver.pid)


def port(receiver: Child) -> int:
    return int(receiver.word or 0)


def reload(directory: NodeDirectory, receiver: Child, before: str, after: str) -> str:
    """Change the settings, and return why the receiver refuses them; empty if it has taken them."""
    directory.settings_path.write_text(directory.settings_path.read_text().replace(before, after))
    receiver.take_settings(receiver.environment)

    def has_answered() -> bool:
        receiver.look()
        return receiver.refused is not None

    wait_until(has_answered)
    return receiver.refused or ""


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists() or ") Z " in Path(f"/proc/{pid}/stat").read_text()


@contextmanager
def associated(receiver: Child) -> Iterator[Sender]:
    with Sender(port(receiver)) as sender:
        assert sender.associate(calling=MODALITY) == ACCEPTED
        yield sender


@contextmanager
def one_each(receiver: Child, processes: list[int]) -> Iterator[list[Sender]]:
    """Yield a sender for each process, in their order; a busy machine may give one process several in a row."""
    for _ in range(TRIES):
        with ExitStack() as stack:
            senders: dict[int, Sender] = {}
            for _ in processes:
                before = {pid: sockets(pid) for pid in processes}
                sender = stack.enter_context(associated(receiver))
                (pid,) = [pid for pid in processes if sockets(pid) > before[pid]]
                senders[pid] = sender
            if len(senders) == len(processes):
                yield [senders[pid] for pid in processes]
                return
        wait_until(lambda: all(sockets(pid) == 1 for pid in processes))
    raise AssertionError("one process always gets all connections")


def begin(sender: Sender, uid: str, data: bytes) -> None:
    """Send a C-STORE except its last two bytes."""
    sender.send(p_data(pdv(store_rq(uid), command=True, last=True)))
    sender.send(p_data(pdv(data[:-2], command=False, last=False)))


def end(sender: Sender, data: bytes) -> int:
    sender.send(p_data(pdv(data[-2:], command=False, last=True)))
    return sender.status()


def test_all_processes_serve_associations_within_one_limit(tmp_path: Path) -> None:
    with receiving(tmp_path, MAXIMUM_ASSOCIATIONS="2") as (directory, receiver, processes):
        with one_each(receiver, processes) as senders:
            for number in range(3):
                for place, sender in enumerate(senders):
                    uid = f"1.2.{place}.{number}"
                    assert sender.store(uid, data_set(uid, pixel_bytes=300_000)) == 0x0000
            with Sender(port(receiver)) as third:
                assert third.associate(calling=MODALITY) == REJECTED
        wait_until(lambda: sum(map(sockets, processes)) == len(processes))
        node = directory.build()
        with node.sessions() as session:
            assert session.scalar(select(func.count()).select_from(InstanceRow)) == 6
        node.sessions.kw["bind"].dispose()


def test_each_process_finishes_a_half_received_instance_when_the_receiver_stops(tmp_path: Path) -> None:
    data = {uid: data_set(uid, pixel_bytes=100_000) for uid in ("1.2.1", "1.2.2")}
    with receiving(tmp_path) as (_, receiver, processes), one_each(receiver, processes) as senders:
        for sender, (uid, whole) in zip(senders, data.items(), strict=True):
            begin(sender, uid, whole)
        wait_until(lambda: len(list((tmp_path / "storage" / "incoming").iterdir())) == 2)
        receiver.ask_to_stop()
        assert [end(sender, whole) for sender, whole in zip(senders, data.values(), strict=True)] == [0x0000] * 2
        wait_until(lambda: all(map(is_gone, processes)))


def test_a_killed_process_takes_only_its_own_associations_and_gives_back_their_places(tmp_path: Path) -> None:
    with (
        receiving(tmp_path, MAXIMUM_ASSOCIATIONS="2") as (_, receiver, processes),
        one_each(receiver, processes) as (one, other),
    ):
        os.kill(processes[0], signal.SIGKILL)
        assert one.is_closed_within(60)
        wait_until(lambda: len(children(receiver.pid)) == 2 and processes[0] not in children(receiver.pid))
        assert other.store("1.2.3", data_set("1.2.3")) == 0x0000
        with associated(receiver) as again:
            assert again.store("1.2.4", data_set("1.2.4")) == 0x0000


def test_all_processes_end_with_a_killed_parent_and_start_again(tmp_path: Path) -> None:
    with receiving(tmp_path) as (_, receiver, processes), associated(receiver) as sender:
        first = receiver.pid
        os.kill(first, signal.SIGKILL)
        assert sender.is_closed_within(60)
        wait_until(lambda: all(map(is_gone, (first, *processes))))

        def is_back() -> bool:
            receiver.look()
            return receiver.pid != first and receiver.word is not None

        wait_until(is_back)
        with associated(receiver) as again:
            assert again.store("1.2.3", data_set("1.2.3")) == 0x0000


def test_a_reload_starts_processes_and_those_before_it_serve_their_associations_to_the_end(tmp_path: Path) -> None:
    with receiving(tmp_path, MAXIMUM_ASSOCIATIONS="2") as (directory, receiver, processes):
        with associated(receiver) as before:
            assert reload(directory, receiver, "[storage]", f"[storage]\nminimum_free_bytes = {2**60}") == ""
            wait_until(lambda: sum(map(is_gone, processes)) == 1)
            with associated(receiver) as after:
                assert before.store("1.2.3", data_set("1.2.3")) == 0x0000
                assert after.store("1.2.4", data_set("1.2.4")) == OUT_OF_RESOURCES
                with Sender(port(receiver)) as third:
                    assert third.associate(calling=MODALITY) == REJECTED
        wait_until(lambda: all(map(is_gone, processes)))
        wait_until(lambda: len(children(receiver.pid)) == 2)


def test_processes_that_fail_after_a_reload_leave_the_former_ones_and_hold_up_no_other_reload(tmp_path: Path) -> None:
    with receiving(tmp_path) as (directory, receiver, processes):
        unreadable = tmp_path / "storage" / "incoming" / "x.part"
        unreadable.mkdir()
        told = reload(directory, receiver, "[storage]", f"[storage]\nminimum_free_bytes = {2**60}")
        assert told == "A new receiver process exited before it was ready. Its log says why."
        assert children(receiver.pid) == processes
        with associated(receiver) as served:
            assert served.store("1.2.3", data_set("1.2.3")) == 0x0000
        unreadable.rmdir()
        assert reload(directory, receiver, "", "") == ""
        with associated(receiver) as served:
            assert served.store("1.2.4", data_set("1.2.4")) == OUT_OF_RESOURCES
