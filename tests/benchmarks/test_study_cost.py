"""CPU time of a study outside the network: reading, preprocessing, postprocessing and writing, stage by stage.

Asserted: the default results take less CPU time than all kinds of result together. Every other figure depends on the
processor, so the report shows it: the least of several rounds.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from glam_node.inference.phantom import make_exam
from tests.benchmarks.conftest import Record
from tests.benchmarks.study_cost import NETWORK

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]


def test_cost_of_a_study_by_stage(tmp_path: Path, figure: Record) -> None:
    for number, view in enumerate(make_exam(1)):
        view.dataset.save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
    command = [sys.executable, "-m", "tests.benchmarks.study_cost", str(tmp_path)]
    costs = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=500).stdout)
    sums = {}
    for selection, seconds in costs.items():
        for stage, spent in seconds.items():
            figure(f"{selection}: {stage}", "s", spent)
        sums[selection] = sum(seconds.values()) - seconds[NETWORK]
        figure(f"{selection}, all stages but the network", "s", sums[selection])
    assert sums["default results"] < sums["all kinds of result"]
