"""Health checks, port scans and senders that give up: ten thousand connections leave nothing behind."""

import random
import socket
import struct
import time
from pathlib import Path

import pytest

from tests.data_sets import data_set
from tests.integration.modality import MODALITY
from tests.integration.node_directory import wait_until, write_node
from tests.integration.scp.raw import Sender, p_data, pdv, store_rq
from tests.torture.attackers import Holding, holding
from tests.torture.rig import chosen_seed, is_full_length

pytestmark = [pytest.mark.alone, pytest.mark.timeout(3600)]

CONNECTS, ABORTED = (10_000, 1_000) if is_full_length() else (1_000, 100)
WARM = 200
LARGEST_GROWTH_KIB = 4_096
LONGEST_GOOD_S = 1.0
ABORT = struct.pack(">BBIBBBB", 7, 0, 4, 0, 0, 0, 0)


def look(port: int, count: int) -> None:
    """Connects and closes, from many addresses."""
    for number in range(count):
        source = (f"127.0.{number % 200 + 1}.{number % 7 + 1}", 0)
        socket.create_connection(("127.0.0.1", port), timeout=10, source_address=source).close()


def give_up(port: int, count: int, rng: random.Random) -> None:
    """Associations that end by A-ABORT, by a reset or in silence, half of them in the middle of an instance."""
    for number in range(count):
        with Sender(port) as sender:
            assert sender.associate(calling=MODALITY) == 2
            if rng.random() < 0.5:
                sender.send(p_data(pdv(store_rq(f"2.25.6{number}"), command=True, last=True)))
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


def test_what_only_looks_or_gives_up_leaves_nothing_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory, rng = write_node(tmp_path), random.Random(chosen_seed())
    with directory.settings_path.open("a") as settings:
        settings.write('[log]\nlevel = "error"\n')
    with directory.running("receiver") as [receiver]:
        port, pid = int(receiver.word or 0), receiver.pid

        def at_rest(than: Holding) -> bool:
            now = holding(pid)
            return now.threads <= than.threads and now.files <= than.files

        # The first instance makes the thread that synchronises, which stays.
        seconds_for_a_good_image(port, "2.25.60")
        idle = holding(pid)
        look(port, WARM)
        give_up(port, WARM // 2, rng)
        wait_until(lambda: at_rest(idle))
        before = holding(pid)
        look(port, CONNECTS)
        give_up(port, ABORTED, rng)
        good = seconds_for_a_good_image(port, "2.25.61")
        wait_until(lambda: at_rest(idle))
        after = holding(pid)
        assert receiver.pid == pid
    with capsys.disabled():
        held = f"{after.threads} threads, {after.files} files as before"
        grown = after.resident_kib - before.resident_kib
        print(f"\n== {CONNECTS} connects, {ABORTED} aborted associations: {held}, {grown} KiB more")
        print(f"   then an image in {good * 1000:.0f} ms")
    assert after.resident_kib - before.resident_kib < LARGEST_GROWTH_KIB
    assert good < LONGEST_GOOD_S
    assert list((directory.build().store.root / "incoming").iterdir()) == []
