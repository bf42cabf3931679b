"""Memory and processor time of the receiver's process, within generous bounds; the benchmarks measure them closely."""

import time
from pathlib import Path

from tests.benchmarks.receiving.comparing import image
from tests.benchmarks.receiving.sending import Load, blast, echoes, waiting
from tests.benchmarks.receiving.servers import SERVERS, fresh

LARGEST_PEAK_MB = 125.0
LARGEST_IDLE_SHARE = 0.1


def test_sixteen_senders_take_little_memory_for_any_size_of_instance(tmp_path: Path) -> None:
    with fresh(SERVERS["ours, one process"], tmp_path / "node") as server:
        small = blast(server, Load(image(tmp_path, 100_000), 16, 4)).peak_megabytes
        large = blast(server, Load(image(tmp_path, 12_000_000), 16, 1, first=100)).peak_megabytes
    assert large < LARGEST_PEAK_MB
    assert large - small < 16.0


def test_idle_associations_take_no_processor_time(tmp_path: Path) -> None:
    with fresh(SERVERS["ours"], tmp_path / "node") as server, waiting(server, 50):
        before, began = server.cpu_seconds(), time.monotonic()
        time.sleep(2)
        assert server.cpu_seconds() - before < LARGEST_IDLE_SHARE * (time.monotonic() - began)


def test_a_receiver_serves_as_a_process(tmp_path: Path) -> None:
    with fresh(SERVERS["ours"], tmp_path / "node") as server:
        blast(server, Load(image(tmp_path, 300_000), 2, 3))
        echoes(server, 5)
