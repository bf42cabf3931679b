"""Tests of data sets that are opened by name."""

from pathlib import Path

import pytest

from glam_node.research.datasets.open import KINDS, open_dataset
from glam_node.research.datasets.problems import DatasetError
from tests.unit.research.datasets.imitated import cbis_row, vindr_mammo
from tests.unit.research.datasets.tiny import film, write, write_csv


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


def test_options_accept_numbers_as_text() -> None:
    phantoms = open_dataset("phantoms", "0:1", rows="64", columns="48", mix="1,0,0,0")
    assert phantoms.read(phantoms.views[0]).shape == (64, 48)
    assert not any(any(view.labels) for view in phantoms.views)


def test_options_accept_a_rule_as_text(tmp_path: Path) -> None:
    vindr_mammo(tmp_path, [{"breast_birads": "BI-RADS 4"}], [{}])
    assert open_dataset("vindr-mammo", tmp_path, rule="2,3,4/5,6").views[0].labels == (True, False)


def test_options_accept_lists_and_booleans_as_text(tmp_path: Path) -> None:
    case = "Mass-Training_P_00001_LEFT_CC"
    for folder in (case, f"{case}_1"):
        write(tmp_path / folder / "1-1.dcm", film())
    write_csv(
        tmp_path / "mass_case_description_train_set.csv", [cbis_row(case), cbis_row("Mass-Training_P_00002_LEFT_CC")]
    )
    assert len(open_dataset("cbis-ddsm", tmp_path, abnormalities="mass,calc", incomplete="yes").views) == 1


@pytest.mark.parametrize("options", [{"rows": "many"}, {"mix": "1,0"}, {"mix": "0,0,0,0"}, {"mix": "-1,1,1,1"}])
def test_text_that_is_not_valid_for_an_option_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(DatasetError, match=r"The option .* of phantoms cannot be"):
        open_dataset("phantoms", "0:1", **options)


@pytest.mark.parametrize("rule", ["", "2,3", "2/9", "a/b"])
def test_an_invalid_rule_is_refused(tmp_path: Path, rule: str) -> None:
    with pytest.raises(DatasetError, match="The option rule of inbreast"):
        open_dataset("inbreast", tmp_path, rule=rule)
