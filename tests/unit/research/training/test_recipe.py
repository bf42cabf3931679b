"""Tests that the shipped recipes are complete, and that all mistakes in a recipe are reported at once."""

from pathlib import Path

import pytest

from glam_node.research.training.recipe import RecipeError, find_recipe, read_recipe
from glam_node.research.training.run import RECIPES

DATA = '[data]\nkind = "phantoms"\npath = "0:2"\n[validation]\nkind = "phantoms"\npath = "2:3"\n'


def problems_of(text: str, tmp_path: Path) -> tuple[str, ...]:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(RecipeError) as refusal:
        read_recipe(path)
    return refusal.value.problems


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_shipped_recipes_can_be_read_and_are_not_for_patients(path: Path) -> None:
    recipe = read_recipe(path)
    assert "not for patients" in recipe.card.intended_use
    assert find_recipe(path.stem) == path


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    text = (
        'seed = "one"\nprecision = "float16"\nstepps = 3\n[data]\nkind = 4\n[global_stage]\nstep = 3\n[shape]\n'
        "reduction = 7\n[card]\nauthor = 1\n"
    )
    found = "\n".join(problems_of(text, tmp_path))
    for named in ("name is missing", "validation is missing", "stepps", "seed", "data.kind", "data.path is missing"):
        assert named in found
    for named in ("global_stage.step is not known", "cells of 112", "card.author"):
        assert named in found


def test_impossible_values_are_named(tmp_path: Path) -> None:
    text = (
        'name = "x"\nprecision = "float16"\npatches_per_image = 0\n' + DATA + "[local_stage]\nsteps = 3\n"
        "top_fraction = 0.0\nbatch_size = 0\n"
    )
    found = problems_of(text, tmp_path)
    assert [problem.split()[0] for problem in found] == [
        "precision",
        "patches_per_image",
        "local_stage:",
        "local_stage.top_fraction",
    ]


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    assert "not TOML" in problems_of("name = ", tmp_path)[0]


def test_the_error_for_a_missing_recipe_lists_the_built_in_ones() -> None:
    with pytest.raises(RecipeError, match=r"built-in recipes are .*phantom"):
        find_recipe("no-such-recipe")
