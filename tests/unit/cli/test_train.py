"""Tests of `glam-node research train`: the shortest run, and recipes that cannot be used."""

from pathlib import Path

import pytest

from tests.command_line import glam_node

TOY = """
name = "toy"
[data]
kind = "phantoms"
path = "0:1"
options = { rows = 832, columns = 640 }
[validation]
kind = "phantoms"
path = "1:2"
options = { rows = 832, columns = 640 }
[global_stage]
steps = 1
batch_size = 2
[shape]
reduction = 16
global_stem_channels = 4
global_channels = [4, 4, 4]
global_strides = [1, 2, 1]
global_stem_pool = false
local_channels = [4, 4, 4, 4]
local_blocks = [1, 1, 1, 1]
local_stem_pool = false
"""


@pytest.mark.features("glam-node research train")
def test_train_makes_a_package_and_names_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "toy.toml").write_text(TOY)
    result = glam_node("research", "train", tmp_path / "toy.toml", "--out", tmp_path / "out", "--workers", "0")
    package = tmp_path / "out" / "package"
    assert result.stdout.startswith(f"ok  trained on 4 views, validated on 4: {package}; next choose operating points")
    assert glam_node("model", "verify", package).exit_code == 0


@pytest.mark.parametrize(
    ("recipe", "told"),
    [("no-such-recipe", "no such file, and no recipe of that name"), ("bad.toml", "data is missing")],
)
def test_a_recipe_that_cannot_be_used_is_refused(recipe: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text('name = "x"\n')
    path = tmp_path / recipe
    result = glam_node("research", "train", path if path.exists() else recipe, "--out", tmp_path / "out", expect=1)
    assert told in result.stderr
