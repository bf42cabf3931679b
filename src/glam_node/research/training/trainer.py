"""A training run, stage by stage and step by step, which continues from its checkpoint after a kill."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW

from glam_node.inference.findings import CHANNELS
from glam_node.inference.glam.device import computes_bfloat16
from glam_node.inference.glam.routes import processor_has_bfloat16
from glam_node.research.datasets.labelled import LabelledDataset, LabelledView
from glam_node.research.datasets.open import open_dataset
from glam_node.research.datasets.problems import DatasetError
from glam_node.research.models.networks import Learner, new_learner
from glam_node.research.training.augmentation import batch_indices, seeded
from glam_node.research.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from glam_node.research.training.journal import Journal, open_journal
from glam_node.research.training.processes import Processes
from glam_node.research.training.recipe import DataRecipe, Recipe, StageRecipe
from glam_node.research.training.samples import PreparedViews, Tell, prepare_views
from glam_node.research.training.stages import (
    CamStage,
    GlobalStage,
    GmicJointStage,
    GmicLocalStage,
    JointStage,
    Loader,
    LocalStage,
    learning_rate,
    patch_loader,
    stages_of,
    top_fraction,
    view_loader,
)
from glam_node.research.training.validation import Validated, validate


def is_narrow(precision: str, device: torch.device) -> bool:
    """Return whether steps on `device` use bfloat16 autocast under a recipe's `precision`.

    "auto" uses it if the device computes bfloat16 natively; emulated, a step takes several times as long as in float32.
    """
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return computes_bfloat16(device)
    return device.type == "cpu" and processor_has_bfloat16()


# Stages by the network to train. The GMIC-like global network has one map; its loss is the same as GLAM's.
_STAGES: dict[str, dict[str, Callable[..., nn.Module]]] = {
    "": {"global": GlobalStage, "local": LocalStage, "joint": JointStage},
    "cam": {"global": CamStage},
    "gmic": {"global": GlobalStage, "local": GmicLocalStage, "joint": GmicJointStage},
}


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """The prepared views for training and validation."""

    training: PreparedViews
    validation: PreparedViews


def prepare_data(recipe: Recipe, folder: Path, processes: Processes, workers: int, tell: Tell) -> TrainingData:
    """Prepare both data sets in the leading process, and read the prepared views in the other processes.

    Raises:
        DatasetError: A data set cannot be used, or both share studies.
    """
    sets = {name: _open(data) for name, data in (("training", recipe.data), ("validation", recipe.validation))}
    shared = {view.study_id for view in sets["training"][1]} & {view.study_id for view in sets["validation"][1]}
    if shared:
        raise DatasetError(f"Studies are in both data and validation ({len(shared)}); they must share none.")
    prepared = {}
    for leading in (True, False):
        if processes.leads == leading:
            for name, (dataset, views) in sets.items():
                prepared[name] = prepare_views(dataset, views, recipe.shape.reduction, folder / name, workers, tell)
        processes.wait()
    return TrainingData(**prepared)


def _open(data: DataRecipe) -> tuple[LabelledDataset, list[LabelledView]]:
    dataset = open_dataset(data.kind, data.path, **data.options)
    views = [view for view in dataset.views if not data.parts or view.split in data.parts]
    if not views:
        raise DatasetError(f"{dataset.name} has no views in the parts {', '.join(data.parts)}.")
    return dataset, views


class Trainer:
    """Training of one network by `recipe` on `device`, with checkpoints and curves in directory `out`."""

    def __init__(
        self, recipe: Recipe, data: TrainingData, out: Path, device: torch.device, processes: Processes, tell: Tell
    ) -> None:
        self._recipe = recipe
        self._data = data
        self._out = out
        self._device = device
        self._processes = processes
        self._tell = tell
        self._digest = hashlib.sha256((recipe.baseline + repr(recipe)).encode()).hexdigest()
        self.network = new_learner(recipe.baseline, recipe.shape, recipe.seed).to(device)
        self._best: dict[str, Any] = {}

    def run(self, stop_after: int | None = None) -> Learner:
        """Train and return the network in evaluation mode; continue from the checkpoint in `out` if there is one.

        Args:
            stop_after: Number of steps after which to write a checkpoint and stop, as if the process were killed then.

        Raises:
            DatasetError: The checkpoint belongs to another recipe.
        """
        journal = open_journal(self._out / "tensorboard", self._processes.leads)
        checkpoint = self._resumed()
        left = stop_after
        try:
            for place, (name, stage) in enumerate(stages_of(self._recipe)):
                if checkpoint is not None and name != checkpoint.stage:
                    continue
                done = self._run_stage(place, name, stage, checkpoint, journal, left)
                checkpoint = None
                left = None if left is None else left - done
                if left is not None and left <= 0:
                    break
        finally:
            journal.close()
        return self.network.eval()

    def _resumed(self) -> Checkpoint | None:
        checkpoint = read_checkpoint(self._out, self._device)
        if checkpoint is None:
            return None
        if checkpoint.recipe_digest != self._digest:
            raise DatasetError(f"{self._out} holds a run of another recipe. Choose another directory, or delete it.")
        self.network.load_state_dict(checkpoint.network)
        return checkpoint

    def _run_stage(
        self,
        place: int,
        name: str,
        stage: StageRecipe,
        checkpoint: Checkpoint | None,
        journal: Journal,
        left: int | None,
    ) -> int:
        """Run a stage and return the number of steps done."""
        module = _STAGES[self._recipe.baseline][name](self.network, self._recipe)
        optimizer = AdamW(module.parameters(), lr=stage.learning_rate, weight_decay=stage.weight_decay)
        first, self._best = 0, {}
        if checkpoint is not None:
            self._best = checkpoint.best
            optimizer.load_state_dict(checkpoint.optimizer)
            first = checkpoint.step
        if self._is_done(stage, first):
            return 0
        steps = _Steps(self._recipe, stage, place, self._processes, self._device)
        load = self._loader(name)
        wrapped = self._processes.wrap(module)
        step = first
        while left is None or step < first + left:
            loss = steps.take(wrapped, optimizer, load, step, len(self._data.training))
            step += 1
            journal.scalar(f"{name}/loss", loss, step - 1)
            self._tell(f"{name} stage, loss {loss:.3f}", step, stage.steps * -(-step // stage.steps))
            ends = step % stage.steps == 0
            said = self._validate(name, step - 1, journal) if ends or step % self._recipe.validate_every == 0 else None
            if ends and stage.rounds > 1:
                self._note_round(stage, said, step == stage.rounds * stage.steps)
            if ends or step % self._recipe.checkpoint_every == 0 or (left is not None and step == first + left):
                self._keep(name, step, optimizer)
            if ends and self._is_done(stage, step, said):
                break
        return step - first

    def _is_done(self, stage: StageRecipe, step: int, said: Validated | None = None) -> bool:
        """Return whether the stage ends after `step`: after its last round, or after one that learned both classes.

        `said` is the validation after that step, if there was one.
        """
        rounds, rest = divmod(step, stage.steps)
        if rest or not rounds:
            return False
        return rounds >= stage.rounds or self._processes.agree(lambda: self._has_learned(stage, said))

    def _note_round(self, stage: StageRecipe, said: Validated | None, last: bool) -> None:
        """Keep the best network of the rounds, and restore it if the last round has not learned both classes."""
        separation = min(said.separation) if said else math.nan
        best = self._best
        if self._processes.agree(lambda: not best or separation > best["separation"]):
            network = {name: tensor.clone() for name, tensor in self.network.state_dict().items()}
            self._best = {"separation": separation, "network": network}
        elif self._processes.agree(lambda: last and not self._has_learned(stage, said)):
            self.network.load_state_dict(best["network"])

    def _has_learned(self, stage: StageRecipe, said: Validated | None) -> bool:
        seen = said or self._look()
        faint = any(separation < stage.least_separation for separation in seen.separation)
        return not (faint or any(auc < stage.least_auc for auc in seen.auc))

    def _look(self) -> Validated:
        size, patches = self._recipe.global_stage.batch_size, self._recipe.patches_per_image
        return validate(self.network, self._data.validation, size, patches, self._device)

    def _loader(self, name: str) -> Loader:
        if name == "local":
            return patch_loader(self._data.training, self.network, self._recipe, self._device)
        return view_loader(self._data.training, self._recipe, self._device)

    def _validate(self, name: str, step: int, journal: Journal) -> Validated | None:
        """Validate in the leading process, show and journal the result, and return it."""
        if not self._processes.leads:
            return None
        said = self._look()
        for kind, auc, separation in zip(CHANNELS, said.auc, said.separation, strict=True):
            journal.scalar(f"{name}/auc_{kind}", auc, step)
            journal.scalar(f"{name}/separation_{kind}", separation, step)
        journal.picture(name, said.output, said.inputs, step)
        self._tell(f"{name} stage, AUC {said.auc[0]:.3f} benign {said.auc[1]:.3f} malignant", step + 1, 0)
        return said

    def _keep(self, name: str, step: int, optimizer: AdamW) -> None:
        if self._processes.leads:
            state = Checkpoint(self._digest, name, step, self.network.state_dict(), optimizer.state_dict(), self._best)
            write_checkpoint(state, self._out)
        self._processes.wait()


class _Steps:
    """The steps of one stage; each depends only on seed, stage and step."""

    def __init__(
        self, recipe: Recipe, stage: StageRecipe, place: int, processes: Processes, device: torch.device
    ) -> None:
        self._recipe = recipe
        self._stage = stage
        self._place = place
        self._processes = processes
        self._device = device
        self._narrow = is_narrow(recipe.precision, device)

    def take(self, module: nn.Module, optimizer: AdamW, load: Loader, step: int, count: int) -> float:
        """Take one optimizer step and return its loss."""
        module.train()
        done = step % self._stage.steps / self._stage.steps
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(self._stage, done + 1 / self._stage.steps)
        seed = self._recipe.seed
        indices = self._processes.share(batch_indices(seed + self._place, step, self._stage.batch_size, count))
        batch = load(indices, seeded(seed, self._place + 1, step, self._processes.rank))
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._narrow):
            loss = module(batch, top_fraction(self._stage, done))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        value: float = loss.item()
        return value
