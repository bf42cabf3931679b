"""Tests of a toy network in all stages: it learns, resumes exactly, and several processes agree."""

import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import Tensor

from glam_node.inference.glam.predictor import GlamPredictor
from glam_node.inference.mammogram import Mammogram
from glam_node.inference.package import read_package
from glam_node.inference.phantom import make_exam
from glam_node.inference.reading import read_mammogram
from glam_node.research.datasets.problems import DatasetError
from glam_node.research.models.networks import Learner
from glam_node.research.training.checkpoint import CHECKPOINT_FILE
from glam_node.research.training.processes import Processes
from glam_node.research.training.recipe import Recipe, StageRecipe
from glam_node.research.training.run import write_trained_package
from glam_node.research.training.trainer import TrainingData, prepare_data
from glam_node.research.training.validation import Validated
from tests.unit.research.training.toy import RECIPE, SMALL, longer, silent, toy_data, trainer


def state_of(data: TrainingData, out: Path, *stops: int | None, recipe: Recipe = RECIPE) -> dict[str, Tensor]:
    """Return the weights after runs into `out`, each stopped after that number of steps."""
    for stop in stops:
        network = trainer(data, out, recipe).run(stop)
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def assert_same(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_that_was_stopped_in_every_stage_ends_with_the_same_weights(data: TrainingData, tmp_path: Path) -> None:
    whole = state_of(data, tmp_path / "whole", None)
    assert_same(whole, state_of(data, tmp_path / "stopped", 1, 3, 2, None))


def training(prepared: Path, out: Path, losses: int = 0) -> "subprocess.Popen[str]":
    """Start a process that trains the toy network and prints every loss; after so many it waits to be killed."""
    command = [sys.executable, "-m", "tests.unit.research.training.told", str(prepared), str(out), str(losses)]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
    }
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def test_a_killed_run_resumes_with_the_same_losses(tmp_path: Path) -> None:
    data, expected = toy_data(tmp_path / "prepared"), list[str]()
    whole = trainer(data, tmp_path / "whole")
    whole._tell = lambda doing, done, _total: expected.append(f"{done} {doing}\n") if "loss" in doing else None
    whole.run()
    with training(tmp_path / "prepared", tmp_path / "killed", losses=4) as doomed:
        assert doomed.stdout is not None
        before = list(islice(doomed.stdout, 4))
        doomed.kill()
    with training(tmp_path / "prepared", tmp_path / "killed") as resumed:
        assert resumed.stdout is not None
        after = list(resumed.stdout)
    assert (doomed.returncode, resumed.returncode) == (-signal.SIGKILL, 0)
    assert len(expected) == 7
    assert before == expected[:4]
    assert 0 < len(after) < len(expected)
    assert after == expected[-len(after) :]


@pytest.mark.parametrize("other", ["seed", "recipe"])
def test_another_seed_or_recipe_gives_other_weights(data: TrainingData, tmp_path: Path, other: str) -> None:
    changed = replace(RECIPE, seed=2) if other == "seed" else replace(RECIPE, patches_per_image=2)
    first, second = state_of(data, tmp_path / "1", None), state_of(data, tmp_path / "2", None, recipe=changed)
    assert any(not torch.equal(first[name], second[name]) for name in first)


def rounds(count: int, least_auc: float, least_separation: float = -1.0) -> Recipe:
    """Return the toy recipe, whose global stage is repeated until both classes reach this AUC and this separation."""
    stage = replace(RECIPE.global_stage, rounds=count, least_auc=least_auc, least_separation=least_separation)
    return replace(RECIPE, global_stage=stage)


@pytest.mark.parametrize("recipe", [rounds(3, 1.1), rounds(3, 0.0, least_separation=1.0)], ids=["order", "strength"])
def test_a_stage_that_has_not_learned_is_run_again(data: TrainingData, tmp_path: Path, recipe: Recipe) -> None:
    told: list[str] = []
    subject = trainer(data, tmp_path, recipe)
    subject._tell = lambda doing, *_: told.append(doing)
    subject.run()
    assert sum("global stage, loss" in doing for doing in told) == 3 * RECIPE.global_stage.steps


def test_a_stage_that_has_learned_is_not_run_again(data: TrainingData, tmp_path: Path) -> None:
    first, second = state_of(data, tmp_path / "1", None), state_of(data, tmp_path / "2", None, recipe=rounds(3, 0.0))
    assert_same(first, second)


def test_rounds_resume_exactly(data: TrainingData, tmp_path: Path) -> None:
    recipe = rounds(2, 1.1)
    whole = state_of(data, tmp_path / "whole", None, recipe=recipe)
    stops = [RECIPE.global_stage.steps, 1, RECIPE.global_stage.steps, None]
    assert_same(whole, state_of(data, tmp_path / "stopped", *stops, recipe=recipe))


@pytest.mark.parametrize(
    ("separations", "best"),
    [((0.1, 0.4, 0.2), 2), ((0.3, 0.1, 0.2), 1), ((0.1, 0.2, 0.3), 3), ((math.nan, math.nan, math.nan), 1)],
)
@pytest.mark.parametrize("stops", [[None], [4, 1, 3, None]], ids=["at once", "stopped"])
def test_the_best_of_the_rounds_that_have_not_learned_is_kept(
    data: TrainingData, tmp_path: Path, separations: tuple[float, ...], best: int, stops: list[int | None]
) -> None:
    recipe = replace(rounds(3, 1.1), local_stage=StageRecipe(), joint_stage=StageRecipe(), validate_every=1000)
    left = list[dict[str, Tensor]]()
    for stop in stops:
        subject = trainer(data, tmp_path, recipe)
        look, network = subject._look, subject.network

        def seen(look: Callable[[], Validated] = look, network: Learner = network) -> Validated:
            left.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
            return replace(look(), separation=(0.9, separations[len(left) - 1]))

        subject._look = seen  # type: ignore[method-assign]
        kept = subject.run(stop).state_dict()
    assert len(left) == 3
    assert_same(kept, left[best - 1])
    assert any(not torch.equal(left[best - 1][name], left[best % 3][name]) for name in kept)


def test_the_end_of_a_round_validates_once(data: TrainingData, tmp_path: Path) -> None:
    told: list[str] = []
    subject = trainer(data, tmp_path, rounds(2, 1.1))
    looks, look = list[int](), subject._look

    def counted() -> Validated:
        looks.append(len(told))
        return look()

    subject._look = counted  # type: ignore[method-assign]
    subject._tell = lambda doing, *_: told.append(doing)
    subject.run()
    assert len(looks) == sum("AUC" in doing for doing in told) == 4


def test_a_directory_of_another_recipe_is_refused(data: TrainingData, tmp_path: Path) -> None:
    state_of(data, tmp_path, 1)
    with pytest.raises(DatasetError, match="another recipe"):
        trainer(data, tmp_path, replace(RECIPE, seed=2)).run()


def test_a_finished_run_does_not_change_its_weights(data: TrainingData, tmp_path: Path) -> None:
    done = state_of(data, tmp_path, None)
    assert_same(done, state_of(data, tmp_path, None))


def test_the_loss_falls(data: TrainingData, tmp_path: Path) -> None:
    told: list[str] = []
    subject = trainer(data, tmp_path, longer(40))
    subject._tell = lambda doing, *_: told.append(doing)
    subject.run()
    losses = [float(doing.split()[-1]) for doing in told if "loss" in doing]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_curves_and_pictures_are_kept_for_tensorboard(data: TrainingData, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    state_of(data, tmp_path, None)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    assert {"global/loss", "local/auc_benign", "joint/separation_malignant"} <= set(tags["scalars"])
    assert set(tags["images"]) == {
        f"{stage}/{what}" for stage in ("global", "local", "joint") for what in ("view", "patch")
    }


def test_the_package_of_a_run_is_one_that_the_node_can_load(data: TrainingData, tmp_path: Path) -> None:
    network = trainer(data, tmp_path, RECIPE).run()
    write_trained_package(network, RECIPE, tmp_path / "package")
    predictor = GlamPredictor.from_package(read_package(tmp_path / "package"), "cpu")
    exam: list[Mammogram] = [read_mammogram(view.dataset) for view in make_exam(3, rows=1664, columns=1280)]
    assert [image.failure for image in predictor.segment(exam)] == [None] * 4
    assert predictor.algorithm.trained


def test_prepared_views_are_used_again_and_prepared_again_for_other_data(tmp_path: Path) -> None:
    first = toy_data(tmp_path)
    before = (tmp_path / "training" / "views.npy").stat().st_mtime_ns
    assert (toy_data(tmp_path).training.inputs == first.training.inputs).all()
    assert (tmp_path / "training" / "views.npy").stat().st_mtime_ns == before
    other = replace(RECIPE, data=replace(RECIPE.data, path="4:5"))
    assert len(prepare_data(other, tmp_path, Processes(), 0, silent).training) == 4


def test_a_study_in_both_data_sets_is_refused(tmp_path: Path) -> None:
    leaking = replace(RECIPE, validation=replace(RECIPE.validation, path="1:3", options=SMALL))
    with pytest.raises(DatasetError, match=r"in both data and validation \(1\)"):
        prepare_data(leaking, tmp_path, Processes(), 0, silent)


def test_a_batch_is_divided_equally_or_refused() -> None:
    assert Processes(1, 2).share(torch.arange(4)).tolist() == [2, 3]
    with pytest.raises(DatasetError, match="cannot be divided among 3"):
        Processes(1, 3).share(torch.arange(4))


def test_two_processes_train_one_network(data: TrainingData, tmp_path: Path) -> None:
    toy_data(tmp_path / "prepared")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    program = Path(__file__).with_name("two_processes.py")
    subprocess.run(
        [*command, program, tmp_path],
        check=True,
        timeout=120,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": "."},
        cwd=Path.cwd(),
    )
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    parameters = [name for name in first if "running" not in name and "num_batches" not in name]
    assert all(torch.equal(first[name], second[name]) for name in parameters)
    assert (tmp_path / CHECKPOINT_FILE).exists()
