"""The model package and the predictor that the settings name."""

import os
from dataclasses import replace
from pathlib import Path

from glam_node.inference.card import DEFAULT_PACKAGE
from glam_node.inference.cores import usable_cores
from glam_node.inference.findings import FindingKind
from glam_node.inference.options import Measure, Precision, RunOptions, Runtime, Segment
from glam_node.inference.package import ModelPackage, OperatingPoint, read_package
from glam_node.inference.platt import PlattScale
from glam_node.inference.predictor import Predictor, load_object
from glam_node.inference.route_record import RECORD_FILE
from glam_node.node.storage.root import StorageRoot, read_marker
from glam_node.settings.inference import OperatingPointSettings
from glam_node.settings.schema import Settings


def load_configured_predictor(settings: Settings, measure: Measure = Measure.NEVER) -> Predictor:
    """Load the predictor that the settings name, with the model package.

    Args:
        settings: The settings of the node.
        measure: Whether the routes are measured that the settings leave open; the storage root keeps the measurement.

    Raises:
        PackageMismatch: The model package is damaged or does not fit the predictor.
        DeviceUnavailable: The device cannot be used.
    """
    # torch reads OMP_NUM_THREADS when torch is first imported. That happens below, so this module must not import it.
    if settings.inference.threads:
        os.environ["OMP_NUM_THREADS"] = str(settings.inference.threads)
    else:
        os.environ.setdefault("OMP_NUM_THREADS", str(usable_cores()))
    package = configured_package(settings)
    chosen, root = settings.inference, _marked_root(settings.storage.root)
    options = RunOptions(
        Precision(chosen.precision),
        Runtime(chosen.runtime),
        Segment(chosen.segment),
        measure,
        root.root / RECORD_FILE if root is not None else None,
        root.is_there if root is not None else None,
    )
    predictor: Predictor = load_object(chosen.predictor).from_package(package, chosen.device, options)
    return predictor


def _marked_root(root: Path) -> StorageRoot | None:
    """Return the storage root; None if it has no marker file, since doctor must not create a storage root."""
    try:
        marker = read_marker(root)
    except OSError:
        return None
    return StorageRoot(root, marker) if marker else None


def configured_package(settings: Settings) -> ModelPackage:
    """Return the model package, with the site's operating points and calibration in place of the package's own.

    Raises:
        PackageMismatch: The package is damaged.
    """
    package = _package(settings)
    overrides = settings.inference.operating_points
    points = {
        kind: _operating_point(point, overrides[kind.value]) if kind.value in overrides else point
        for kind, point in package.operating_points.items()
    }
    fitted = {
        FindingKind(kind): PlattScale(**scale.model_dump()) for kind, scale in settings.inference.calibration.items()
    }
    return replace(
        package,
        operating_points=points,
        calibration={**package.calibration, **fitted},
        calibrated_by_site=frozenset(fitted),
    )


def _package(settings: Settings) -> ModelPackage:
    if settings.inference.package is not None:
        return read_package(settings.inference.package)
    built_in = getattr(load_object(settings.inference.predictor), "built_in_package", None)
    package: ModelPackage = built_in() if built_in is not None else read_package(DEFAULT_PACKAGE)
    return package


def _operating_point(point: OperatingPoint, override: OperatingPointSettings) -> OperatingPoint:
    return replace(point, **override.model_dump(exclude_none=True))
