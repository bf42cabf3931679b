"""A simulation of nodes through which the studies of a day go, with costs that a benchmark measured.

A node has cores for its receiver, dispatcher and sender, which are one process each for this purpose, and workers on
machines of their own or, as in the benchmark, on the same cores. Not simulated: the network and the disk, whose rates
are multiplied out, and failures.
"""

import random
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import simpy

from tests.benchmarks.kept_reports import THIS_VERSION, THROUGHPUT, KeptReport

STUDY_MB = 68.2
QUANTUM_S = 0.1
"""Time for which a process keeps a core before another one gets it."""
DAY = (6, 10, 13, 13, 9, 9, 13, 12, 9, 6)
"""Percentage of a day's studies in each hour from 8 to 18 o'clock."""
BUSIEST = max(DAY) / 100

Event = simpy.events.Event
Steps = Generator[Event, Any, None]


@dataclass(frozen=True, slots=True)
class Costs:
    """Costs of a study in seconds of one core."""

    receiver: float
    dispatcher: float
    worker: float
    sender: float

    @classmethod
    def measured(cls, report: KeptReport) -> "Costs":
        """Return the costs in a report."""
        names = ("receiver", "dispatcher", "worker", "sender")
        figures = [report.figures[THROUGHPUT, f"{THIS_VERSION}, CPU of the {name}"] for name in names]
        return cls(*(float(one["median"]) for one in figures))


@dataclass(frozen=True, slots=True)
class Layout:
    """The machines of one node."""

    workers: int
    cores: int = 2
    """Cores of the host of receiver, dispatcher and sender."""
    shared: bool = False
    """Whether the workers compute on the same cores."""
    settle_s: float = 10.0
    """The setting assembly.settle_time."""


class _Node:
    """One node and the latency of each study that it has delivered."""

    def __init__(self, costs: Costs, layout: Layout) -> None:
        self.environment = simpy.Environment()
        self._costs, self._layout = costs, layout
        self._cores = simpy.Resource(self.environment, layout.cores)
        self._dispatcher, self._sender = (simpy.Resource(self.environment) for _ in range(2))
        self._workers = simpy.Resource(self.environment, layout.workers)
        self.latencies: list[float] = []

    def study(self, arrives: float) -> Steps:
        """Take a study from its last image to its last result."""
        yield self.environment.timeout(arrives)
        yield from self._compute(self._costs.receiver)
        received = self.environment.now
        yield self.environment.timeout(self._layout.settle_s)
        with self._dispatcher.request() as turn:
            yield turn
            yield from self._compute(self._costs.dispatcher)
        with self._workers.request() as turn:
            yield turn
            if self._layout.shared:
                yield from self._compute(self._costs.worker)
            else:
                yield self.environment.timeout(self._costs.worker)
        with self._sender.request() as turn:
            yield turn
            yield from self._compute(self._costs.sender)
        self.latencies.append(self.environment.now - received)

    def _compute(self, seconds: float) -> Steps:
        """Use one core for this time, in turn with others."""
        while seconds > 0:
            with self._cores.request() as turn:
                yield turn
                yield self.environment.timeout(min(QUANTUM_S, seconds))
            seconds -= QUANTUM_S


def simulate(arrivals: Sequence[float], costs: Costs, layout: Layout) -> tuple[list[float], float]:
    """Return the seconds from the last image to the last result of each study, and the time of the last result.

    Args:
        arrivals: The time in s at which each study has arrived.
        costs: The costs of a study.
        layout: The machines of the node.
    """
    node = _Node(costs, layout)
    for arrives in arrivals:
        node.environment.process(node.study(arrives))
    node.environment.run()
    return node.latencies, node.environment.now


def day_of(studies: int, seed: int = 1) -> list[float]:
    """Return the arrivals of a day in s after 8 o'clock."""
    chance = random.Random(seed)
    hours = chance.choices(range(len(DAY)), DAY, k=studies)
    return sorted(3600 * (hour + chance.random()) for hour in hours)


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which this share of the values is."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


@dataclass(frozen=True, slots=True)
class Region:
    """What the studies of a day need."""

    studies: int
    nodes: int
    layout: Layout
    """The machines of each node."""
    median_s: float
    most_s: float
    """Seconds from the last image to the last result that 95 % of the studies take at most."""


BUSY = 0.7
"""Share of a process's time, in the busiest hour, above which another node is added."""


def nodes_for(studies: int, costs: Costs) -> int:
    """Return the number of nodes whose dispatchers and senders, of which each node has one, are not too busy."""
    per_second = studies * BUSIEST / 3600
    return max(1, -int(-per_second * max(costs.dispatcher, costs.sender) // BUSY))


def cores_for(studies: int, costs: Costs) -> int:
    """Return the cores for receiver, dispatcher and sender of a node with this number of studies a day."""
    needed = studies * BUSIEST / 3600 * (costs.receiver + costs.dispatcher + costs.sender)
    return max(2, -int(-needed // BUSY))


def region(studies: int, costs: Costs, limit_s: float, tried: dict[int, float] | None = None) -> Region:
    """Return the least machines with which 95 % of a day's studies are reported within a time.

    Args:
        studies: Studies a day.
        costs: The costs of a study.
        limit_s: The time from the last image to the last result.
        tried: A dictionary that gets the time of 95 % of the studies for each number of workers that was tried.
    """
    nodes = nodes_for(studies, costs)
    each = -(-studies // nodes)
    arrivals, cores = day_of(each), cores_for(each, costs)
    workers = max(1, int(each * BUSIEST / 3600 * costs.worker))
    while True:
        layout = Layout(workers, cores)
        latencies, _ = simulate(arrivals, costs, layout)
        most = quantile(latencies, 0.95)
        if tried is not None:
            tried[workers] = most
        if most <= limit_s:
            return Region(studies, nodes, layout, quantile(latencies, 0.5), most)
        workers += 1


def error_of(costs: Costs, studies: int, measured_s: float, settle_s: float) -> float:
    """Return how much longer the simulated run of the benchmark takes than the measured one, as a share of it."""
    _, took = simulate([0.0] * studies, costs, Layout(1, 2, shared=True, settle_s=settle_s))
    return took / measured_s - 1
