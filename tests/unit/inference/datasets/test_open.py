"""Data sets by name."""

import pytest

from glam_node.inference.datasets.open import KINDS, open_dataset
from glam_node.inference.datasets.problems import DatasetError


def test_an_unknown_kind_is_refused_with_the_list_of_those_that_are_known() -> None:
    with pytest.raises(DatasetError) as caught:
        open_dataset("mias", "anywhere")
    assert all(kind in str(caught.value) for kind in KINDS)


def test_an_unknown_option_is_refused_with_the_list_of_those_that_are_known() -> None:
    with pytest.raises(DatasetError, match=r"no option colour.*rows, columns"):
        open_dataset("phantoms", "0:1", colour="blue")


def test_options_reach_the_loader() -> None:
    phantoms = open_dataset("phantoms", "0:1", rows=64, columns=48)
    assert phantoms.read(phantoms.views[0]).shape == (64, 48)
