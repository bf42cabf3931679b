"""The recipe of a training run, read from a TOML file; all mistakes in it are reported at once."""

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from glam_node.inference.card import ModelCard, card_from_table
from glam_node.inference.errors import InferenceError
from glam_node.inference.glam.shape import PUBLISHED, NetworkShape, shape_from_table

T = TypeVar("T")

PRECISIONS = ("auto", "float32", "bfloat16")
BASELINES = ("cam", "gmic")


class RecipeError(InferenceError):
    """Raised for a recipe with mistakes; `problems` has one line for each."""

    def __init__(self, path: Path, problems: tuple[str, ...]) -> None:
        super().__init__(f"{path}: " + "; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class DataRecipe:
    """[data] and [validation]: a data set named by kind and path, as in `glam-node research evaluate`."""

    kind: str
    path: str
    options: dict[str, Any] = field(default_factory=dict)
    """Keyword options of the loader."""
    parts: tuple[str, ...] = ()
    """The parts of the data set to use; all if empty."""


@dataclass(frozen=True, slots=True)
class AugmentationRecipe:
    """[augmentation]: random changes of a view, drawn again each time it is used."""

    shift_px: int = 100
    """Largest displacement of the window, in window pixels, each way."""
    size_px: int = 100
    """Largest growth or shrinkage of the window's height, in window pixels."""
    vertical_flip: bool = True
    rotation_degrees: float = 0.0
    """Largest rotation about the middle of the window, each way."""
    stretch: float = 0.0
    """Largest part by which a view becomes wider and lower, or narrower and higher."""
    contrast: float = 0.0
    """Largest logarithm of the exponent to which the values above the background are raised."""


@dataclass(frozen=True, slots=True)
class StageRecipe:
    """[global_stage], [local_stage] and [joint_stage]: settings of one stage; a stage of 0 steps is left out."""

    steps: int = 0
    batch_size: int = 8
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    top_fraction: float = 0.03
    """Fraction of the pooled values whose mean is the score in the loss."""
    initial_top_fraction: float = 0.0
    """Fraction at the start, which falls to `top_fraction` over the first 30 % of the stage; 0 for no fall."""
    sparsity: float = 0.03
    """Weight of the L1 norm of the maps over the number of pooled values."""
    rounds: int = 1
    """Maximum number of runs of the stage, each from the weights of the last one and with a whole schedule. If no run
    reaches the limits below, the weights of the run whose less separated class is separated best are kept."""
    least_auc: float = 0.0
    """The stage is run again while the AUC of a class on the validation images is lower."""
    least_separation: float = -1.0
    """The stage is also run again while the mean score of the validation images of a class exceeds that of the other
    images by less than this: a map that separates a class only weakly places patches by its noise."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One training run."""

    name: str
    """Algorithm name of the package."""
    data: DataRecipe
    validation: DataRecipe
    version: str = "1"
    seed: int = 1
    precision: str = "float32"
    """"float32", "bfloat16" for autocast, or "auto" for bfloat16 where it is native. Losses are always float32."""
    patches_per_image: int = 1
    """Patches per image, in training and in the package."""
    validate_every: int = 100
    """Steps between two validations."""
    checkpoint_every: int = 100
    global_stage: StageRecipe = StageRecipe()
    local_stage: StageRecipe = StageRecipe(top_fraction=0.3)
    joint_stage: StageRecipe = StageRecipe()
    local_joint_top_fraction: float = 0.3
    """`top_fraction` of the local maps in the joint stage."""
    augmentation: AugmentationRecipe = AugmentationRecipe()
    shape: NetworkShape = PUBLISHED
    card: ModelCard = field(default_factory=ModelCard)
    baseline: str = field(default="", repr=False)
    """The baseline to train instead of GLAM: "cam" or "gmic"."""


def read_recipe(path: Path) -> Recipe:
    """Read the recipe in the TOML file `path`.

    Raises:
        RecipeError: The recipe has mistakes; the error lists all of them.
        OSError: The file cannot be read.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(path, (f"not TOML: {error}",)) from error
    problems: list[str] = []
    recipe = _build(Recipe, table, "", problems)
    if recipe is not None:
        problems += _contradictions(recipe)
    if recipe is None or problems:
        raise RecipeError(path, tuple(problems))
    return recipe


def _contradictions(recipe: Recipe) -> list[str]:
    problems = []
    if recipe.precision not in PRECISIONS:
        problems.append(f"precision is {recipe.precision!r}, must be one of {', '.join(PRECISIONS)}")
    counts = ("patches_per_image", "validate_every", "checkpoint_every")
    problems += [f"{name} must be 1 or more" for name in counts if getattr(recipe, name) < 1]
    for name in ("global_stage", "local_stage", "joint_stage"):
        stage: StageRecipe = getattr(recipe, name)
        if stage.steps < 0 or min(stage.batch_size, stage.rounds) < 1:
            problems.append(f"{name}: steps must not be negative, batch_size and rounds must be 1 or more")
        if not 0 < stage.top_fraction <= 1:
            problems.append(f"{name}.top_fraction must be greater than 0 and at most 1")
    return problems + (_contradictions_of_baseline(recipe) if recipe.baseline else [])


def _contradictions_of_baseline(recipe: Recipe) -> list[str]:
    problems = []
    if recipe.baseline not in BASELINES:
        problems.append(f"baseline is {recipe.baseline!r}, must be one of {', '.join(BASELINES)}, or left out for GLAM")
    if recipe.baseline == "cam" and (recipe.local_stage.steps or recipe.joint_stage.steps):
        problems.append("baseline cam has only a global stage: local_stage.steps and joint_stage.steps must be 0")
    if recipe.baseline == "gmic" and not (recipe.local_stage.steps or recipe.joint_stage.steps):
        problems.append("baseline gmic needs steps in local_stage or joint_stage: its scores need the local network")
    if recipe.shape.global_strides[-2:] != (1, 1):
        problems.append("shape.global_strides of a baseline must end in 1, 1: its map is made of the last features")
    return problems


def _build(kind: type[T], table: Mapping[str, Any], prefix: str, problems: list[str]) -> T | None:
    """Build `kind` from its table; on mistakes, add them to `problems` and return None."""
    known = {each.name: each for each in fields(kind)}  # type: ignore[arg-type]
    before = len(problems)
    problems += [
        f"{prefix}{name} is not known; known are {', '.join(sorted(known))}" for name in table if name not in known
    ]
    problems += [
        f"{prefix}{name} is missing"
        for name, each in known.items()
        if name not in table and each.default is MISSING and each.default_factory is MISSING
    ]
    values = {
        name: _value(known[name].type, value, prefix + name, problems) for name, value in table.items() if name in known
    }
    return None if len(problems) > before else kind(**values)


_TABLES: dict[type, Any] = {NetworkShape: shape_from_table, ModelCard: card_from_table}


def _value(kind: Any, value: Any, name: str, problems: list[str]) -> Any:
    if kind in _TABLES:
        try:
            return _TABLES[kind](value)
        except ValueError as error:
            problems.append(str(error).rstrip("."))
            return None
    if kind in (DataRecipe, AugmentationRecipe, StageRecipe) and isinstance(value, Mapping):
        return _build(kind, value, f"{name}.", problems)
    if kind == tuple[str, ...] and isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(value)
    if kind == dict[str, Any] and isinstance(value, Mapping):
        return dict(value)
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and type(value) is kind:
        return value
    problems.append(f"{name} is {value!r}, must be {getattr(kind, '__name__', kind)}")
    return None


def find_recipe(name: str) -> Path:
    """Return the path of the file `name`, or of the shipped recipe of that name.

    Raises:
        RecipeError: Neither exists; the message lists the shipped recipes.
    """
    shipped = {path.stem: path for path in (Path(__file__).parent / "recipes").glob("*.toml")}
    path = Path(name)
    if path.is_file():
        return path
    if name not in shipped:
        problem = f"no such file or built-in recipe; the built-in recipes are {', '.join(sorted(shipped))}"
        raise RecipeError(path, (problem,))
    return shipped[name]
