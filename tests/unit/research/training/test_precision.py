"""Tests that a step computes in bfloat16 only where that saves time or the recipe asks for it."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from glam_node.research.training import trainer as precision
from glam_node.research.training.trainer import TrainingData, is_narrow
from tests.unit.research.training.toy import RECIPE, trainer

CPU = torch.device("cpu")


@pytest.mark.parametrize("has", [True, False])
def test_auto_is_bfloat16_where_the_processor_has_it(has: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "processor_has_bfloat16", lambda: has)
    assert is_narrow("auto", CPU) is has


@pytest.mark.parametrize(("named", "narrow"), [("float32", False), ("bfloat16", True)])
def test_a_named_precision_is_used(named: str, narrow: bool) -> None:
    assert is_narrow(named, CPU) is narrow


@pytest.mark.parametrize(("has", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_step_computes_in_the_chosen_precision(
    has: bool, dtype: torch.dtype, data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "processor_has_bfloat16", lambda: has)
    subject = trainer(data, tmp_path, replace(RECIPE, precision="auto"))
    seen: set[torch.dtype] = set()

    def note(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        seen.add(output.dtype)

    subject.network.get_submodule("global_network.downsampling_branch.first_conv").register_forward_hook(note)
    subject.run(1)
    assert seen == {dtype}
    assert {parameter.dtype for parameter in subject.network.parameters()} == {torch.float32}
