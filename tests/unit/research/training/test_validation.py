"""Tests of the result of a validation against the scores of the views."""

from pathlib import Path

import pytest
import torch
from sklearn.metrics import roc_auc_score

from glam_node.research.models.networks import new_learner
from glam_node.research.training.validation import validate
from tests.unit.research.training.toy import RECIPE, toy_data


def test_order_and_separation_are_those_of_the_scores(tmp_path: Path) -> None:
    views = toy_data(tmp_path).training
    network = new_learner(RECIPE.baseline, RECIPE.shape, seed=4).eval()
    with torch.inference_mode():
        scores = network.global_network(views.batch(torch.arange(len(views)))[0]).scores.numpy()
    said = validate(network, views, batch_size=3, patches=1, device=torch.device("cpu"))
    for channel in range(2):
        found, labelled = scores[:, channel], views.labels[:, channel] > 0
        assert said.auc[channel] == pytest.approx(roc_auc_score(labelled, found))
        assert said.separation[channel] == pytest.approx(found[labelled].mean() - found[~labelled].mean(), abs=1e-6)
