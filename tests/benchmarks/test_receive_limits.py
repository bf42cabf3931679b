"""What the receiver takes of a machine, and how many it serves: CPU, memory, associations, echoes, small instances."""

import time
from pathlib import Path

import pytest

from tests.benchmarks.receiving.comparing import compared, image, ratios, room, seconds, tell
from tests.benchmarks.receiving.sending import Load, associations, blast, echoes, waiting
from tests.benchmarks.receiving.servers import SERVERS, fresh

pytestmark = [pytest.mark.benchmark, pytest.mark.peer("dcmtk"), pytest.mark.timeout(1200)]

FORKING = "storescp +B -pdu 131072 --fork"
PIXEL_BYTES = 17_000_000
# Of what storescp takes, which neither hashes nor synchronises: milliseconds differ from machine to machine.
LARGEST_CPU_RATIO = 2.2
LARGEST_PEAK_MB = 100.0
LARGEST_HELPER_MB = 30.0
"""Of each further process of the receiver."""
LARGEST_GROWTH_MB = 5.0
# Of one core, with 50 associations that say nothing
LARGEST_IDLE_SHARE = 0.01
LONGEST_ASSOCIATION_S = 0.005
LEAST_ECHOES_PER_SECOND = 5000
LEAST_SMALL_RATIO = {"pynetdicom": 0.9}


def test_cpu_per_megabyte(tmp_path: Path) -> None:
    load = Load(image(tmp_path, PIXEL_BYTES), 1, 24)
    took = compared(["ours", "storescp +B -pdu 131072"], tmp_path, lambda server: blast(server, load))
    tell("\nCPU:", took, load.megabytes)
    ours, theirs = (sorted(one.cpu_seconds for one in rounds)[1] for rounds in took.values())
    print(f"CPU: {1000 * ours / load.megabytes:.2f} ms per MB, {ours / theirs:.2f} times storescp's")
    assert ours <= LARGEST_CPU_RATIO * theirs


def test_peak_memory_with_sixteen_associations_whatever_the_size_of_an_instance(tmp_path: Path) -> None:
    peaks: dict[str, list[float]] = {"ours, one process": [], "ours, two processes": []}
    for pixel_bytes, count in ((1_000_000, 30), (PIXEL_BYTES, 3), (4 * PIXEL_BYTES, 2)):
        load = Load(image(tmp_path, pixel_bytes), 16, count)
        took = compared(list(peaks), tmp_path, lambda server, load=load: blast(server, load), 1)  # type: ignore[misc]
        for name, rounds in took.items():
            peaks[name].append(rounds[0].peak_megabytes)
    print(f"\npeak with 16 associations: {peaks} MB with instances of 1, 17 and 68 MB")
    one, two = peaks.values()
    assert max(one) <= LARGEST_PEAK_MB
    assert max(two) - max(one) <= LARGEST_HELPER_MB
    assert max(max(each) - min(each) for each in (one, two)) <= LARGEST_GROWTH_MB


def test_fifty_idle_associations_cost_nothing(tmp_path: Path) -> None:
    with fresh(SERVERS["ours"], tmp_path / "idle") as server, waiting(server, 50):
        time.sleep(1)
        before, began = server.cpu_seconds(), time.monotonic()
        time.sleep(10)
        share = (server.cpu_seconds() - before) / (time.monotonic() - began)
    print(f"\n50 idle associations: {share:.2%} of a core")
    assert share < LARGEST_IDLE_SHARE


def test_associations_and_echoes(tmp_path: Path) -> None:
    names = ["ours", "storescp", "pynetdicom"]
    opened = compared(names, tmp_path, lambda server: associations(server, 100))
    echoed = compared(names, tmp_path, lambda server: echoes(server, 2000))
    each = {name: 1000 * seconds(took) / 100 for name, took in opened.items()}
    rate = {name: 2000 / seconds(took) for name, took in echoed.items()}
    print(f"\nassociation and release, ms: {each}\nC-ECHO a second: {rate}")
    assert each["ours"] <= 1000 * LONGEST_ASSOCIATION_S
    assert rate["ours"] >= LEAST_ECHOES_PER_SECOND


@pytest.mark.parametrize(("pixel_bytes", "count"), [(8_500, 400), (530_000, 100)], ids=["9 KB", "0.5 MB"])
@pytest.mark.parametrize("senders", [1, 8])
def test_small_instances(tmp_path: Path, pixel_bytes: int, count: int, senders: int) -> None:
    """In memory; on a disk each of ours waits for the disk, and each of the others for nothing."""
    load = Load(image(tmp_path, pixel_bytes), senders, count // senders)
    with room(True, tmp_path) as directory:
        took = compared(["ours", FORKING, "pynetdicom"], directory, lambda server: blast(server, load))
    on_disk = compared(["ours"], tmp_path, lambda server: blast(server, load))
    rates = {name: round(load.senders * load.count / seconds(rounds)) for name, rounds in took.items()}
    disk_rate = round(load.senders * load.count / seconds(on_disk["ours"]))
    print(f"\n{senders} senders, {pixel_bytes} bytes, instances a second: {rates}; on the disk {disk_rate}")
    print(f"ours is {ratios(took)} times as fast")
    assert all(ratios(took)[name] >= least for name, least in LEAST_SMALL_RATIO.items())
