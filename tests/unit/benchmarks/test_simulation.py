import random
from itertools import accumulate
from statistics import mean

import pytest

from tests.benchmarks.simulation import Costs, Layout, cores_for, error_of, nodes_for, region, simulate

FREE = Costs(receiver=0, dispatcher=0, worker=1, sender=0)


def test_waits_for_one_worker_are_those_of_the_pollaczek_khinchine_formula() -> None:
    """With random arrivals and equal work, the mean wait is load x work / (2 (1 - load))."""
    chance, load = random.Random(3), 0.7
    arrivals = list(accumulate(chance.expovariate(load) for _ in range(40_000)))
    latencies, _ = simulate(arrivals, FREE, Layout(1, settle_s=0))
    assert mean(latencies) - 1 == pytest.approx(load / (2 * (1 - load)), rel=0.08)


def test_workers_on_the_same_cores_share_them() -> None:
    costs = Costs(receiver=0, dispatcher=0, worker=2, sender=0)
    _, alone = simulate([0, 0, 0, 0], costs, Layout(1, 2, shared=True, settle_s=0))
    _, two = simulate([0, 0, 0, 0], costs, Layout(2, 2, shared=True, settle_s=0))
    _, four = simulate([0, 0, 0, 0], costs, Layout(4, 2, shared=True, settle_s=0))
    assert [alone, two, four] == pytest.approx([8, 4, 4])


def test_a_study_waits_for_the_settle_time_and_each_process() -> None:
    costs = Costs(receiver=0.25, dispatcher=0.5, worker=2, sender=0.125)
    latencies, last = simulate([5], costs, Layout(1))
    assert latencies == [pytest.approx(10 + 0.5 + 2 + 0.125)]
    assert last == pytest.approx(5 + 0.25 + latencies[0])


def test_a_busy_sender_needs_another_node_and_busy_cores_more_cores() -> None:
    costs = Costs(receiver=0.1, dispatcher=0.1, worker=1, sender=0.5)
    assert nodes_for(30_000, costs) == 1  # 30,000 x 13 % / 3600 s x 0.5 s = 0.54 of the time
    assert nodes_for(100_000, costs) == 3
    assert cores_for(1_000, costs) == 2
    assert cores_for(100_000, costs) == 4


def test_the_least_number_of_workers_is_found() -> None:
    costs = Costs(receiver=0.01, dispatcher=0.01, worker=100, sender=0.01)
    tried: dict[int, float] = {}
    found = region(300, costs, 180, tried)
    assert found.most_s == tried[found.layout.workers] <= 180
    assert all(most > 180 for workers, most in tried.items() if workers < found.layout.workers)


def test_the_error_is_a_share_of_the_measured_time() -> None:
    costs = Costs(receiver=0, dispatcher=0, worker=1, sender=0)
    assert error_of(costs, 8, 10.0, 0.0) == pytest.approx(-0.2)
