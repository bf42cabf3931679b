import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

COMMAND = [sys.executable, "-m", "tests.benchmarks.gpu"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="There is a GPU.")
def test_a_machine_without_a_gpu_is_told_so_at_once() -> None:
    run = subprocess.run(COMMAND, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 2
    assert "No CUDA device was found, so nothing was measured." in run.stderr


def test_every_step_runs_on_a_processor(tmp_path: Path) -> None:
    words = ["--device", "cpu", "--small", "--directory", str(tmp_path), "--seconds", "1000"]
    run = subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=280, check=False)
    assert run.returncode == 0, run.stderr
    figures = {one["name"]: one for one in json.loads((tmp_path / "report.json").read_text())["figures"]}
    assert figures["float32, error of scores"]["median"] == 0
    assert {
        "bfloat16, channels_last, a positive view in a batch of 2",
        'precision = "exact", one after the other',
        'precision = "exact", decode and write while the device computes',
        "analysis of a study, batches of 8 views",
        "global network, plain, a view in a batch of 4",
    } < set(figures)
