"""Tests of `glam-node research train`: the shortest run, and recipes that cannot be used."""

from pathlib import Path

import pytest

from tests.command_line import glam_node
from tests.unit.cli.toy_recipe import TOY


@pytest.mark.features("glam-node research train")
def test_train_makes_a_package_and_names_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "toy.toml").write_text(TOY)
    result = glam_node("research", "train", tmp_path / "toy.toml", "--out", tmp_path / "out", "--workers", "0")
    package = tmp_path / "out" / "package"
    assert result.stdout.startswith(f"ok  trained on 4 views, validated on 4: {package}; next choose operating points")
    assert glam_node("model", "verify", package).exit_code == 0


@pytest.mark.parametrize(
    ("recipe", "told"),
    [("no-such-recipe", "no such file or built-in recipe"), ("bad.toml", "data is missing")],
)
def test_a_recipe_that_cannot_be_used_is_refused(recipe: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text('name = "x"\n')
    path = tmp_path / recipe
    result = glam_node("research", "train", path if path.exists() else recipe, "--out", tmp_path / "out", expect=1)
    assert told in result.stderr
