"""Tests of `glam-node research train`: short runs, and recipes that cannot be used."""

import re
from pathlib import Path

import pytest

from glam_node.research.training.run import RECIPES
from tests.command_line import glam_node
from tests.unit.cli.toy_recipe import TOY
from tests.unit.research.datasets.imitated import cbis_mass, cbis_mass_row


@pytest.mark.features("glam-node research train")
def test_train_makes_a_package_and_names_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "toy.toml").write_text(TOY)
    result = glam_node("research", "train", tmp_path / "toy.toml", "--out", tmp_path / "out", "--workers", "0")
    package = tmp_path / "out" / "package"
    assert result.stdout.startswith(f"ok  trained on 4 views, validated on 4: {package}; next choose operating points")
    assert glam_node("model", "verify", package).exit_code == 0


@pytest.mark.parametrize("name", ["cbis-mass", "cbis-mass-long"])
def test_recipe_of_film_trains_on_the_folder_of_the_command(name: str, tmp_path: Path) -> None:
    pictures = cbis_mass(tmp_path / "pictures", [cbis_mass_row(number) for number in range(12)])
    text = (RECIPES / f"{name}.toml").read_text(encoding="utf-8")
    for setting in ("steps = 1", "batch_size = 2"):
        key, _ = setting.split(" = ")
        text = re.sub(rf"^{key} = [1-9].*", setting, text, flags=re.MULTILINE)
    (tmp_path / "short.toml").write_text(text, encoding="utf-8")
    out = tmp_path / "out"
    result = glam_node("research", "train", tmp_path / "short.toml", "--data", pictures, "--out", out, "--workers", "0")
    assert result.stdout.startswith("ok  trained on ")
    assert glam_node("model", "verify", out / "package").exit_code == 0


@pytest.mark.parametrize(
    ("recipe", "told"),
    [("no-such-recipe", "no such file or built-in recipe"), ("bad.toml", "data is missing")],
)
def test_a_recipe_that_cannot_be_used_is_refused(recipe: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text('name = "x"\n')
    path = tmp_path / recipe
    result = glam_node("research", "train", path if path.exists() else recipe, "--out", tmp_path / "out", expect=1)
    assert told in result.stderr
