"""Toy exams, prepared once."""

import pytest

from glam_node.research.training.trainer import TrainingData
from tests.unit.research.training.toy import toy_data


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    """Return eight views for training and four for validation."""
    return toy_data(tmp_path_factory.mktemp("prepared"))
