"""Model packages: weights, the values that are needed to run them, and the digest that verifies them."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from glam_node.inference.card import PACKAGE_FILE, ModelCard, card_from_table, card_table
from glam_node.inference.errors import PackageMismatch
from glam_node.inference.findings import FindingKind
from glam_node.inference.platt import PlattScale

WEIGHTS_FILE = "weights.safetensors"
FORMAT_VERSION = 1

_HEAD = ("architecture", "algorithm_name", "algorithm_version", "trained")
_KNOWN = {
    "format_version",
    *_HEAD,
    "weights",
    "operating_points",
    "calibration",
    "reference",
    "parameters",
    "shape",
    "card",
}


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """The thresholds at which saliency of one class becomes a finding; part of the package, like the weights."""

    image_score_threshold: float
    """An image with a lower score is negative for the class."""
    local_saliency_threshold: float
    """A pixel inside a proposed patch belongs to a finding when the local saliency is higher."""
    global_saliency_threshold: float
    """A pixel outside the patches belongs to a finding when the global saliency is higher."""
    minimum_area_px: int
    """Regions with fewer pixels, counted in the model's window, are dropped."""


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """A directory with package.toml and, unless the weights are made from a seed, weights.safetensors."""

    path: Path
    architecture: str
    """The architecture of the predictor that runs the package: "glam", "threshold" ..."""
    algorithm_name: str
    algorithm_version: str
    trained: bool
    weights_sha256: str
    """SHA-256 of the weights, as the architecture defines it; verified by the predictor when it loads them."""
    seed: int | None
    """The seed that the weights are made from; None if the weights are in a file."""
    operating_points: dict[FindingKind, OperatingPoint]
    parameters: dict[str, Any] = field(default_factory=dict)
    """Values that only the architecture defines, e.g. patches per image."""
    shape: dict[str, Any] = field(default_factory=dict)
    """The sizes of the network, as the architecture defines them; empty for the published sizes."""
    calibration: dict[FindingKind, PlattScale] = field(default_factory=dict)
    """The calibration of image scores, for classes with one; it is valid for the data that it was fitted on only."""
    calibrated_by_site: frozenset[FindingKind] = frozenset()
    """The classes whose calibration is not the package's own but comes from the site's settings."""
    reference: dict[FindingKind, float] = field(default_factory=dict)
    """The mean image score on the data that the package was evaluated with; empty if none was written."""
    card: ModelCard = field(default_factory=ModelCard)
    """Origin, licence, training data, intended use, limitations, and the kinds of image that the model accepts."""

    @property
    def weights_path(self) -> Path:
        """The path of the weights file, which does not exist if the package has a seed."""
        return self.path / WEIGHTS_FILE


def score_parameters(package: ModelPackage) -> tuple[tuple[str, str], ...]:
    """Return the calibration and reference means of the scores as (name, value), for a predictor's parameters."""
    return tuple(
        stated
        for kind, scale in sorted(package.calibration.items())
        for stated in (
            *((f"{kind}.calibration_{name}", f"{value:g}") for name, value in asdict(scale).items()),
            *([(f"{kind}.calibrated_by", "site")] if kind in package.calibrated_by_site else []),
        )
    ) + tuple((f"{kind}.reference_mean_score", f"{mean:g}") for kind, mean in sorted(package.reference.items()))


def read_package(path: Path) -> ModelPackage:
    """Return the package in directory `path`, after checking the digest of its weights file if it has one.

    Raises:
        PackageMismatch: The package is missing, damaged or of another version; the message names the key or file.
    """
    try:
        table = tomllib.loads((path / PACKAGE_FILE).read_text(encoding="utf-8"))
        package = _package_from(path, table)
    except OSError as error:
        raise PackageMismatch(f"{path} is not a model package: {error}. Check inference.package.") from error
    except tomllib.TOMLDecodeError as error:
        raise PackageMismatch(f"{path / PACKAGE_FILE} is not TOML: {error}.") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PackageMismatch(f"{path / PACKAGE_FILE} has a missing or invalid key: {error}.") from error
    if package.seed is None:
        _verify_weights_file(package)
    return package


def write_package(package: ModelPackage) -> None:
    """Write package.toml into the directory of `package`, so that `read_package` returns the same package.

    The weights file must be there already, or the package must have a seed.
    """
    tables: list[tuple[str, Mapping[str, Any]]] = [
        ("weights", {"sha256": package.weights_sha256} | ({} if package.seed is None else {"seed": package.seed})),
        *((f"operating_points.{kind}", asdict(point)) for kind, point in package.operating_points.items()),
        *((f"calibration.{kind}", asdict(scale)) for kind, scale in package.calibration.items()),
        ("parameters", package.parameters),
        *((name, table) for name, table in _optional_tables(package) if table),
    ]
    head = {"format_version": FORMAT_VERSION} | {name: getattr(package, name) for name in _HEAD}
    text = _toml_lines(head) + "".join(f"\n[{name}]\n{_toml_lines(values)}" for name, values in tables)
    (package.path / PACKAGE_FILE).write_text(text, encoding="utf-8")


def _optional_tables(package: ModelPackage) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    reference = {str(kind): mean for kind, mean in package.reference.items()}
    return ("reference", reference), ("shape", package.shape), ("card", card_table(package.card))


def _toml_lines(values: Mapping[str, Any]) -> str:
    """Return `values` as lines of TOML, which writes strings, numbers, booleans and lists of them as JSON does."""
    return "".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in values.items())


def _package_from(path: Path, table: dict[str, Any]) -> ModelPackage:
    if table["format_version"] != FORMAT_VERSION:
        raise PackageMismatch(
            f"{path / PACKAGE_FILE} has format_version {table['format_version']}; this version reads {FORMAT_VERSION}."
        )
    unknown = sorted(table.keys() - _KNOWN)
    if unknown:
        raise PackageMismatch(f"{path / PACKAGE_FILE} has unknown keys: {', '.join(unknown)}.")
    weights = table["weights"]
    return ModelPackage(
        path=path,
        architecture=table["architecture"],
        algorithm_name=table["algorithm_name"],
        algorithm_version=table["algorithm_version"],
        trained=table["trained"],
        weights_sha256=weights["sha256"],
        seed=weights.get("seed"),
        operating_points={
            FindingKind(kind): OperatingPoint(**point) for kind, point in table["operating_points"].items()
        },
        calibration={FindingKind(kind): PlattScale(**scale) for kind, scale in table.get("calibration", {}).items()},
        reference={FindingKind(kind): float(mean) for kind, mean in table.get("reference", {}).items()},
        parameters=table.get("parameters", {}),
        shape=table.get("shape", {}),
        card=card_from_table(table.get("card", {})),
    )


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of the file's bytes, in hexadecimal; raise OSError when it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _verify_weights_file(package: ModelPackage) -> None:
    try:
        digest = file_sha256(package.weights_path)
    except OSError as error:
        raise PackageMismatch(f"{package.path} has no readable {WEIGHTS_FILE}: {error}.") from error
    if digest != package.weights_sha256:
        raise PackageMismatch(
            f"{package.weights_path} has SHA-256 {digest}, package.toml says {package.weights_sha256}. "
            "Copy the package again."
        )
