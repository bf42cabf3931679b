"""Comparison of receivers in interleaved rounds, on the disk and in memory; medians count."""

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
"""A file system on which fsync costs nothing, so that receivers are compared and not disks."""
NEEDED_BYTES = 4 * 2**30


@contextmanager
def room(in_memory: bool, tmp_path: Path) -> Iterator[Path]:
    """Yield a directory in memory if it has enough space, else on the disk."""
    if not in_memory or not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < NEEDED_BYTES:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
        yield Path(directory)


def image(directory: Path, pixel_bytes: int) -> Path:
    """Write an encoded mammogram of that size; the raw sender replaces its UIDs."""
    path = directory / f"{pixel_bytes}.bin"
    view = {"ImageLaterality": "R", "ViewPosition": "CC", "PresentationIntentType": "FOR PRESENTATION"}
    rest = {"StudyInstanceUID": STUDY_MARK, "PatientID": "P1", "ImageType": ["ORIGINAL", "PRIMARY"]}
    path.write_bytes(data_set(SOP_INSTANCE_MARK, pixel_bytes, **view, **rest))
    return path


def compared(
    names: Sequence[str], directory: Path, measure: Callable[[Server], Took], rounds: int = ROUNDS
) -> dict[str, list[Took]]:
    """Return the measurements of each server, one per round."""
    took: dict[str, list[Took]] = {name: [] for name in names}
    for number in range(rounds):
        for place, name in enumerate(names):
            with fresh(SERVERS[name], directory / f"{number}-{place}") as server:
                took[name].append(measure(server))
    return took


def seconds(took: Sequence[Took]) -> float:
    """Return the median time of the rounds."""
    return median(one.seconds for one in took)


def ratios(took: dict[str, list[Took]], ours: str = "ours") -> dict[str, float]:
    """Return how many times faster our receiver is than each of the others."""
    return {name: seconds(rounds) / seconds(took[ours]) for name, rounds in took.items() if name != ours}


def pairs(took: dict[str, list[Took]], ours: str = "ours") -> dict[str, list[float]]:
    """Return for each round how many times faster our receiver was than each of the others."""
    return {
        name: [theirs.seconds / own.seconds for theirs, own in zip(rounds, took[ours], strict=True)]
        for name, rounds in took.items()
        if name != ours
    }


def slower_than(took: dict[str, list[Took]], *peers: str) -> dict[str, float]:
    """Return the peers that were faster than our receiver, with the ratio of the medians."""
    return {name: ratio for name, ratio in ratios(took).items() if name in peers and ratio < 1}


def tell(title: str, took: dict[str, list[Took]], megabytes: float) -> None:
    """Print one line per server."""
    for name, rounds in took.items():
        cpu = median(one.cpu_seconds for one in rounds)
        peak = max(one.peak_megabytes for one in rounds)
        speed = megabytes / seconds(rounds)
        print(
            f"{title} {name:32} {speed:6.0f} MB/s {1000 * cpu / megabytes:6.2f} ms of CPU per MB, peak {peak:4.0f} MB"
        )
    print(f"{title} ours is {', '.join(f'{ratio:.2f} times {name}' for name, ratio in ratios(took).items())}")


def disk_megabytes_per_second(directory: Path, byte_count: int, writers: int, count: int = 3) -> float:
    """Return the MB/s that this number of threads writes to the disk, with fsync after each file of this size."""
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
