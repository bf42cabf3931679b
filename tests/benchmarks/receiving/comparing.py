"""Receivers side by side: rounds interleaved, medians, on the disk and in memory."""

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from tests.benchmarks.receiving.sending import SOP_INSTANCE_MARK, STUDY_MARK, Took
from tests.benchmarks.receiving.servers import SERVERS, Server, fresh
from tests.data_sets import data_set

ROUNDS = 3
MEMORY = Path("/dev/shm")
"""A file system whose fsync costs nothing: there the receiver is compared, and not the disk."""
NEEDED_BYTES = 4 * 2**30


@contextmanager
def room(in_memory: bool, tmp_path: Path) -> Iterator[Path]:
    """A directory in memory, where there is enough of it, or on the disk."""
    if not in_memory or not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < NEEDED_BYTES:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
        yield Path(directory)


def image(directory: Path, pixel_bytes: int) -> Path:
    """An encoded mammogram of that size, whose UIDs the raw sender replaces."""
    path = directory / f"{pixel_bytes}.bin"
    view = {"ImageLaterality": "R", "ViewPosition": "CC", "PresentationIntentType": "FOR PRESENTATION"}
    rest = {"StudyInstanceUID": STUDY_MARK, "PatientID": "P1", "ImageType": ["ORIGINAL", "PRIMARY"]}
    path.write_bytes(data_set(SOP_INSTANCE_MARK, pixel_bytes, **view, **rest))
    return path


def compared(
    names: Sequence[str], directory: Path, measure: Callable[[Server], Took], rounds: int = ROUNDS
) -> dict[str, list[Took]]:
    """What each server took in each round."""
    took: dict[str, list[Took]] = {name: [] for name in names}
    for number in range(rounds):
        for place, name in enumerate(names):
            with fresh(SERVERS[name], directory / f"{number}-{place}") as server:
                took[name].append(measure(server))
    return took


def seconds(took: Sequence[Took]) -> float:
    """The median of the rounds."""
    return median(one.seconds for one in took)


def ratios(took: dict[str, list[Took]], ours: str = "ours") -> dict[str, float]:
    """How many times as fast as each of the others ours is."""
    return {name: seconds(rounds) / seconds(took[ours]) for name, rounds in took.items() if name != ours}


def pairs(took: dict[str, list[Took]], ours: str = "ours") -> dict[str, list[float]]:
    """Return how many times as fast as each of the others ours was, for each round."""
    return {
        name: [theirs.seconds / own.seconds for theirs, own in zip(rounds, took[ours], strict=True)]
        for name, rounds in took.items()
        if name != ours
    }


def slower_than(took: dict[str, list[Took]], *peers: str) -> dict[str, float]:
    """Return the peers that were faster than ours, with the ratio of the medians."""
    return {name: ratio for name, ratio in ratios(took).items() if name in peers and ratio < 1}


def tell(title: str, took: dict[str, list[Took]], megabytes: float) -> None:
    """One line per server."""
    for name, rounds in took.items():
        cpu = median(one.cpu_seconds for one in rounds)
        peak = max(one.peak_megabytes for one in rounds)
        speed = megabytes / seconds(rounds)
        print(
            f"{title} {name:32} {speed:6.0f} MB/s {1000 * cpu / megabytes:6.2f} ms of CPU per MB, peak {peak:4.0f} MB"
        )
    print(f"{title} ours is {', '.join(f'{ratio:.2f} times {name}' for name, ratio in ratios(took).items())}")


def disk_megabytes_per_second(directory: Path, byte_count: int, writers: int, count: int = 3) -> float:
    """What this disk takes from so many threads that write files of this size and synchronise each."""
    data = memoryview(os.urandom(1 << 20))

    def write(number: int) -> None:
        for file_number in range(count):
            path = directory / f"probe-{number}-{file_number}"
            with path.open("wb", buffering=0) as file:
                for at in range(0, byte_count, len(data)):
                    file.write(data[: byte_count - at])
                os.fsync(file.fileno())
            path.unlink()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return byte_count * writers * count / 1e6 / (time.perf_counter() - began)
