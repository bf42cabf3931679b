"""Tests of writing and reading model packages, and of the errors for unknown and malformed keys."""

from dataclasses import replace
from pathlib import Path

import pytest

from glam_node.inference.card import PACKAGE_FILE, ModelCard
from glam_node.inference.errors import PackageMismatch
from glam_node.inference.package import read_package, write_package
from tests.packages import SEEDED_PACKAGE

CARD = ModelCard(
    origin='Trained here ü "quoted" \\ 日本',
    licence="Apache-2.0",
    training_data="phantoms, seeds 0 to 999\nand no patient",
    vendors=("GE", "HOLOGIC, Inc."),
    pixel_spacing_mm=(0.05, 0.1),
)
SHAPE = {"reduction": 4, "global_channels": [8, 16, 32], "global_stem_pool": False, "top_fraction": 0.02}


def test_a_package_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    package = replace(read_package(SEEDED_PACKAGE), path=tmp_path, card=CARD, shape=SHAPE)
    write_package(package)
    assert read_package(tmp_path) == package


def test_a_package_without_a_card_has_an_empty_one(tmp_path: Path) -> None:
    package = replace(read_package(SEEDED_PACKAGE), path=tmp_path, card=ModelCard(), shape={})
    write_package(package)
    assert "[card]" not in (tmp_path / PACKAGE_FILE).read_text()
    assert read_package(tmp_path).card == ModelCard()


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ('[card]\nlicense = "x"', r"card\.license is not known; known are origin, licence"),
        ("[card]\norigin = 3", r"card\.origin = 3 is not text"),
        ('[card]\nvendors = "GE"', r"card\.vendors = 'GE' is not a list"),
        ("[card]\nvendors = [1]", r"card\.vendors"),
        ("[card]\npixel_spacing_mm = [0.1, 0.05]", r"card\.pixel_spacing_mm"),
        ("[card]\npixel_spacing_mm = [0.1]", r"card\.pixel_spacing_mm"),
        ("[card]\npixel_spacing_mm = [true, true]", r"card\.pixel_spacing_mm"),
        ("[crad]\n", "unknown keys: crad"),
    ],
)
def test_a_key_that_is_unknown_or_of_the_wrong_kind_is_named(tmp_path: Path, lines: str, reason: str) -> None:
    write_package(replace(read_package(SEEDED_PACKAGE), path=tmp_path, card=ModelCard()))
    with (tmp_path / PACKAGE_FILE).open("a") as file:
        file.write(lines)
    with pytest.raises(PackageMismatch, match=reason):
        read_package(tmp_path)


def test_a_card_that_is_not_a_table_is_refused(tmp_path: Path) -> None:
    write_package(replace(read_package(SEEDED_PACKAGE), path=tmp_path, card=ModelCard()))
    text = (tmp_path / PACKAGE_FILE).read_text()
    (tmp_path / PACKAGE_FILE).write_text(f'card = "x"\n{text}')
    with pytest.raises(PackageMismatch, match="has a missing or invalid key"):
        read_package(tmp_path)
