"""Health checks, port scans and interrupted senders: ten thousand connections leave nothing behind."""

import random
import socket
import struct
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.data_sets import data_set
from tests.integration.modality import MODALITY
from tests.integration.node_directory import write_node
from tests.integration.scp.raw import Sender, p_data, pdv, store_rq
from tests.torture.holdings import growth_kib, have_let_go, holdings, holdings_at_rest, make_each_store
from tests.torture.rig import chosen_seed, is_full_length
from tests.waiting import wait_until

pytestmark = [pytest.mark.alone, pytest.mark.timeout(3600)]

CONNECTS, ABORTED = (10_000, 1_000) if is_full_length() else (1_000, 100)
WARM = 200
PROCESSES = 2
LARGEST_GROWTH_KIB = 4_096
"""Largest growth of each process."""
LONGEST_GOOD_S = 1.0
ABORT = struct.pack(">BBIBBBB", 7, 0, 4, 0, 0, 0, 0)


def look(port: int, count: int) -> None:
    """Connect and close the connection at once, from many addresses."""
    for number in range(count):
        source = (f"127.0.{number % 200 + 1}.{number % 7 + 1}", 0)
        socket.create_connection(("127.0.0.1", port), timeout=10, source_address=source).close()


def give_up(port: int, count: int, rng: random.Random) -> None:
    """Open as many associations at a time as processes serve them, and break each of them off."""
    for number in range(0, count, PROCESSES):
        with ExitStack() as stack:
            senders = [stack.enter_context(Sender(port)) for _ in range(PROCESSES)]
            for sender in senders:
                assert sender.associate(calling=MODALITY) == 2
            for place, sender in enumerate(senders):
                give_up_one(sender, f"2.25.6{number + place}", rng)


def give_up_one(sender: Sender, uid: str, rng: random.Random) -> None:
    """Break off by A-ABORT, by a reset or without a message, every second time within an instance."""
    if rng.random() < 0.5:
        sender.send(p_data(pdv(store_rq(uid), command=True, last=True)))
        sender.send(p_data(pdv(bytes(5000), command=False, last=False)))
    way = rng.choice(("abort", "reset", "close"))
    if way == "abort":
        sender.send(ABORT)
    elif way == "reset":
        sender.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def seconds_for_a_good_image(port: int, uid: str) -> float:
    started = time.monotonic()
    with Sender(port) as sender:
        assert sender.associate(calling=MODALITY) == 2
        assert sender.store(uid, data_set(uid)) == 0x0000
    return time.monotonic() - started


def test_port_scans_and_aborts_leave_nothing_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory, rng = write_node(tmp_path), random.Random(chosen_seed())
    with directory.settings_path.open("a") as settings:
        settings.write('[log]\nlevel = "error"\n')
    with directory.running("receiver", GLAM_NODE__NODE__RECEIVER_PROCESSES=str(PROCESSES)) as [receiver]:
        port, pid = int(receiver.word or 0), receiver.pid
        # The first instance makes the thread that synchronises, which stays.
        make_each_store(port, receiver.pid, "2.25.60")
        idle = holdings_at_rest(pid)
        assert len(idle) == PROCESSES + 1
        look(port, WARM)
        give_up(port, WARM // 2, rng)
        wait_until(lambda: have_let_go(holdings(pid), idle))
        before = holdings(pid)
        look(port, CONNECTS)
        give_up(port, ABORTED, rng)
        good = seconds_for_a_good_image(port, "2.25.61")
        wait_until(lambda: have_let_go(holdings(pid), idle))
        after = holdings(pid)
        assert receiver.pid == pid
    with capsys.disabled():
        print(f"\n== {CONNECTS} connects, {ABORTED} aborted associations: threads and files as before, of each process")
        print(f"   {[one.threads for one in after]} threads, {[one.files for one in after]} files", end=", ")
        print(f"{growth_kib(after, before)} KiB more; then an image in {good * 1000:.0f} ms")
    assert max(growth_kib(after, before)) < LARGEST_GROWTH_KIB
    assert good < LONGEST_GOOD_S
    assert list((directory.build().store.root / "incoming").iterdir()) == []
