"""Studies an hour of a whole node with one worker, and the processor time of each of its processes.

`BENCHMARK_EARLIER` names a checkout of an earlier version, which then takes turns with this one; `make benchmark
EARLIER=...` sets it. `BENCHMARK_ROUNDS` is the number of rounds. Each round starts `glam-node serve` with its defaults,
has DCMTK's dcmsend send one study for warm-up and then all others at once, and ends when DCMTK's storescp has every
result.

Asserted: this version uses less processor time than the earlier one. All else depends on the machine and its load.
"""

import os
from pathlib import Path
from statistics import median

import pytest

from tests.benchmarks.conftest import Record
from tests.benchmarks.kept_reports import THIS_VERSION
from tests.benchmarks.report import ROOT
from tests.benchmarks.throughput import OTHERS, PROCESSES, Spent, round_of, stored_exams

pytestmark = [pytest.mark.benchmark, pytest.mark.peer("dcmtk"), pytest.mark.timeout(2400)]

STUDIES, ROUNDS = 8, int(os.environ.get("BENCHMARK_ROUNDS", "3"))
EARLIER = "the earlier version"


def test_throughput_of_a_node_with_one_worker(tmp_path: Path, figure: Record) -> None:
    exams = stored_exams(tmp_path, STUDIES + 1)
    earlier = os.environ.get("BENCHMARK_EARLIER")
    versions = {THIS_VERSION: ROOT} | ({EARLIER: Path(earlier).resolve()} if earlier else {})
    spent: dict[str, list[Spent]] = {name: [] for name in versions}
    for number in range(ROUNDS):
        for name, path in versions.items():
            spent[name].append(round_of(path, tmp_path / f"{name}-{number}", exams))
    for name, rounds in spent.items():
        figure(name, "studies an hour", *(3600 * STUDIES / one.seconds for one in rounds))
        for process in (*PROCESSES, OTHERS):
            figure(f"{name}, CPU of the {process}", "s a study", *(one.of_studies(process) / STUDIES for one in rounds))
            figure(f"{name}, CPU of the {process} when idle", "of a core", *(one.idle[process] for one in rounds))
        shares = [(one.cpu["receiver"] + one.cpu["sender"]) / sum(one.cpu.values()) for one in rounds]
        figure(f"{name}, CPU of receiver and sender", "of all", *shares)
    if earlier:
        pairs = [before.seconds / now.seconds for before, now in zip(spent[EARLIER], spent[THIS_VERSION], strict=True)]
        figure(f"{THIS_VERSION}, as fast as the earlier one", "times", *pairs)
        assert median(map(cpu_of, spent[THIS_VERSION])) < median(map(cpu_of, spent[EARLIER]))


def cpu_of(round_: Spent) -> float:
    """Return the processor time of all processes because of the studies."""
    return sum(map(round_.of_studies, round_.cpu))
