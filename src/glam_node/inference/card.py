"""The card of a model package: its origin, its intended use, and the kinds of image that it was made for."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from glam_node.inference.errors import PackageMismatch
from glam_node.kinds.facts import CONVENTIONAL, DECLARABLE_KINDS, DRAWN_BY

PACKAGE_FILE = "package.toml"
DEFAULT_PACKAGE = Path(__file__).parent / "default_package"
_SPACING_LIMITS = 2


@dataclass(frozen=True, slots=True)
class ModelCard:
    """The [card] table of package.toml; every key is optional, and unknown keys are refused."""

    origin: str = ""
    """The authors of the weights, and the data and software that they used."""
    licence: str = ""
    training_data: str = ""
    intended_use: str = ""
    limitations: str = ""
    vendors: tuple[str, ...] = ()
    """Manufacturers (0008,0070) of the training images; empty: not stated."""
    pixel_spacing_mm: tuple[float, ...] = ()
    """Least and largest Imager Pixel Spacing (0018,1164) of the training images, mm; empty: not stated."""
    presentation: str = ""
    """How the training images were presented: the intent, the VOI LUT and the bits stored."""

    kinds: tuple[str, ...] = ()
    """Kinds of image that the model accepts: conventional (also if empty), contrast_low_energy, synthesized, film."""

    def __post_init__(self) -> None:
        """Raise ValueError when the pixel spacing is not a range of positive numbers, or a kind is unknown."""
        spacing = self.pixel_spacing_mm
        if spacing and (len(spacing) != _SPACING_LIMITS or not 0 < spacing[0] <= spacing[1]):
            raise ValueError(
                f"card.pixel_spacing_mm = {list(spacing)} must be the smallest and the largest spacing in mm."
            )
        unknown = sorted(set(self.kinds) - set(DECLARABLE_KINDS))
        if unknown:
            raise ValueError(f"card.kinds has {', '.join(unknown)}; known are {', '.join(DECLARABLE_KINDS)}.")

    @property
    def accepted_kinds(self) -> frozenset[str]:
        """The kinds of image that the model accepts."""
        return frozenset(self.kinds or (CONVENTIONAL,))

    @property
    def is_demonstration(self) -> bool:
        """Whether the model was trained on phantoms alone, so that its findings on patients' images mean nothing."""
        return set(self.vendors) == {DRAWN_BY}


def read_card(path: Path) -> ModelCard:
    """Return the card of the package in directory `path`; its weights are not checked.

    Raises:
        PackageMismatch: There is no package whose card can be read.
    """
    try:
        table = tomllib.loads((path / PACKAGE_FILE).read_text(encoding="utf-8"))
        return card_from_table(table.get("card", {}))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise PackageMismatch(f"{path / PACKAGE_FILE} has no card that can be read: {error}.") from error


def card_from_table(table: Mapping[str, Any]) -> ModelCard:
    """Return the card that a [card] table holds.

    Raises:
        ValueError: A key is unknown, or its value is of the wrong type; the message names the key.
    """
    return ModelCard(**{name: _value(name, value) for name, value in table.items()})


def card_table(card: ModelCard) -> dict[str, Any]:
    """Return the [card] table of `card`, without empty values."""
    return {field.name: value for field in fields(card) if (value := getattr(card, field.name))}


_KNOWN = tuple(field.name for field in fields(ModelCard))


def _value(name: str, value: Any) -> Any:
    if name not in _KNOWN:
        raise ValueError(f"card.{name} is not known; known are {', '.join(_KNOWN)}.")
    if name in ("vendors", "kinds"):
        return _tuple_of(str, name, value)
    if name == "pixel_spacing_mm":
        return tuple(float(limit) for limit in _tuple_of((int, float), name, value))
    if not isinstance(value, str):
        raise ValueError(f"card.{name} = {value!r} is not text.")
    return value


def _tuple_of(kind: type | tuple[type, ...], name: str, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list) or not all(isinstance(one, kind) and not isinstance(one, bool) for one in value):
        raise ValueError(f"card.{name} = {value!r} is not a list of the right kind.")
    return tuple(value)
