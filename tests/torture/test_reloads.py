"""Settings are reloaded again and again while senders send: no association is refused or cut, no instance is lost."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import func, select

from glam_node.node.db.tables import InstanceRow
from glam_node.node.run.supervisor import Child
from tests.data_sets import data_set
from tests.integration.modality import MODALITY
from tests.integration.node_directory import NodeDirectory, write_node
from tests.integration.scp.raw import Sender
from tests.processes import children
from tests.torture.rig import is_full_length
from tests.waiting import wait_until

pytestmark = [pytest.mark.alone, pytest.mark.timeout(3600)]

RELOADS = 200 if is_full_length() else 8
SENDERS = 3
IMAGES = 4
"""In each association."""
ACCEPTED, SUCCESS = 2, 0x0000


@dataclass
class Tally:
    """What came of all associations."""

    stored: set[str] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)


def send(port: int, number: int, stop: threading.Event, tally: Tally) -> None:
    """One association after the other, each of which must be served to its end."""
    for association in count():
        if stop.is_set():
            return
        try:
            with Sender(port) as sender:
                assert sender.associate(calling=MODALITY) == ACCEPTED, "rejected"
                for image in range(IMAGES):
                    store(sender, f"2.25.{number + 1}.{association}.{image}", tally)
        except (AssertionError, OSError, ValueError) as error:
            tally.failures.append(repr(error))


def store(sender: Sender, uid: str, tally: Tally) -> None:
    assert sender.store(uid, data_set(uid, pixel_bytes=200_000)) == SUCCESS, uid
    tally.stored.add(uid)


@contextmanager
def sending(port: int, tally: Tally) -> Iterator[None]:
    """Senders beside the block."""
    stop = threading.Event()
    threads = [threading.Thread(target=send, args=(port, number, stop, tally)) for number in range(SENDERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def reload(node: NodeDirectory, receiver: Child, number: int) -> None:
    """A change of settings that concerns the receivers is in force."""
    text = node.settings_path.read_text()
    before, after = (f"minimum_free_bytes = {one % 2}\n" for one in (number, number + 1))
    text = text.replace(before, after) if before in text else text.replace("[storage]\n", f"[storage]\n{after}")
    node.settings_path.write_text(text)
    receiver.ask_to_reload()

    def is_answered() -> bool:
        receiver.look()
        return receiver.refused is not None

    wait_until(is_answered)
    assert receiver.refused == ""


def test_reloads_refuse_and_cut_no_association_and_lose_no_instance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node, tally = write_node(tmp_path), Tally()
    with node.running("receiver", GLAM_NODE__NODE__RECEIVER_PROCESSES="2") as [receiver]:
        port, pid = int(receiver.word or 0), receiver.pid
        with Sender(port) as throughout, sending(port, tally):
            assert throughout.associate(calling=MODALITY) == ACCEPTED
            for number in range(RELOADS):
                reload(node, receiver, number)
                store(throughout, f"2.25.9.{number}", tally)
        wait_until(lambda: len(children(pid)) == 2)
        assert receiver.pid == pid, "the parent of the receivers was started again"
    built = node.build()
    with built.sessions() as session:
        rows = session.scalar(select(func.count()).select_from(InstanceRow))
    built.sessions.kw["bind"].dispose()
    with capsys.disabled():
        print(f"\n== {RELOADS} reloads, {len(tally.stored)} instances stored, {len(tally.failures)} failures")
    assert (tally.failures, rows) == ([], len(tally.stored))
