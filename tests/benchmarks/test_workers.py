"""Throughput by number of worker processes, and the load of a device that one worker waits for.

Asserted: more workers analyse more studies, and reading ahead does not make a worker slower. The shares depend on the
cores that are free while a worker waits for the device (the device is busy for 1.0 of the time with two idle cores,
0.55 with two busy ones), so the report shows them. Limits that were asserted earlier: 0.7 of the ideal of four workers,
and a device that is busy for 0.9 of the time.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from glam_node.node.db import jobs
from glam_node.node.domain.job import JobState
from glam_node.node.run.supervisor import Child
from tests.benchmarks.conftest import Record
from tests.benchmarks.receiving.servers import Server
from tests.integration.modality import send, small_exam
from tests.integration.node_directory import write_node
from tests.integration.redis_server import redis_server
from tests.ports import free_port
from tests.waiting import wait_until

pytestmark = [pytest.mark.benchmark, pytest.mark.peer("redis-server"), pytest.mark.timeout(300)]

STUDIES = 16


@dataclass(frozen=True, slots=True)
class Spent:
    """Cost of analysing all studies."""

    seconds: float
    cpu_seconds: float
    """CPU time of the workers."""


def spent_by(
    workers: int,
    redis_url: str,
    path: Path,
    seeds: "count[int]",
    overlap: str = "never",
    predictor: str = "OneDevicePredictor",
) -> Spent:
    """Analyse this number of waiting studies, once all workers are ready, and return the cost."""
    predictor = f"tests.integration.worker.predictors:{predictor}"
    directory = write_node(path, broker_url=redis_url, predictor=predictor)
    with directory.settings_path.open("a") as file:
        file.write(f'overlap = "{overlap}"\n')
    hold = path / "hold"
    hold.touch()
    chosen = {"HOLD": str(hold)}
    with directory.running("receiver", "dispatcher", **chosen) as (receiver, _):
        node = directory.build()

        def how_many(state: JobState) -> int:
            with node.sessions() as session:
                return jobs.counts_by_state(session).get(state, 0)

        for _ in range(STUDIES + workers):
            send(int(receiver.word or 0), small_exam(next(seeds)))
        wait_until(lambda: how_many(JobState.PENDING) == STUDIES + workers)
        with directory.running(*["worker"] * workers, **chosen) as running:
            wait_until(lambda: how_many(JobState.RUNNING) >= workers)
            hold.unlink()
            # The first study of each process is slower, since it includes loading.
            wait_until(lambda: how_many(JobState.SUCCEEDED) >= workers)
            before, started = cpu_seconds(running), time.perf_counter()
            wait_until(lambda: how_many(JobState.SUCCEEDED) == STUDIES + workers, seconds=120)
            return Spent(time.perf_counter() - started, cpu_seconds(running) - before)


def cpu_seconds(workers: Sequence[Child]) -> float:
    """Return the CPU time that these processes have used so far."""
    return sum(Server(0, worker.pid).cpu_seconds() for worker in workers)


def test_throughput_grows_with_the_number_of_workers(tmp_path: Path, figure: Record) -> None:
    """Analyse studies without findings, so that queue and database are measured and not the shared cores."""
    seeds, spent = count(), {}
    for workers in (1, 2, 4, 8):
        with redis_server(tmp_path, free_port()) as url:
            path = tmp_path / str(workers)
            spent[workers] = spent_by(workers, url, path, seeds, predictor="QuietDevicePredictor")
    for workers, each in spent.items():
        figure(f"{workers} workers, of the throughput of one", "times", spent[1].seconds / each.seconds)
        figure(f"{workers} workers, CPU", "s a study", each.cpu_seconds / STUDIES)
    assert spent[4].seconds < spent[1].seconds


def test_reading_ahead_keeps_the_device_busier(tmp_path: Path, figure: Record) -> None:
    seeds, seconds = count(100), {}
    for overlap in ("never", "always"):
        with redis_server(tmp_path, free_port()) as url:
            seconds[overlap] = spent_by(1, url, tmp_path / overlap, seeds, overlap).seconds
    for overlap, spent in seconds.items():
        figure(f"overlap {overlap}, device in use", "of the time", STUDIES / spent)
    assert seconds["always"] < seconds["never"]
