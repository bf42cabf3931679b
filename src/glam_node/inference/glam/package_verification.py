"""Verification that a package is intact and computes the same on this machine as on the one that made it.

Packages of the published weights are also compared with the scores that their authors print for sample images.
"""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from glam_node.inference.errors import PackageMismatch, UnsupportedMammogram
from glam_node.inference.findings import CHANNELS, FindingKind
from glam_node.inference.glam.device import full_precision, resolve_device
from glam_node.inference.glam.fold import fold_for_inference
from glam_node.inference.glam.golden_report import GoldenLedger, GoldenReport
from glam_node.inference.glam.network import Glam
from glam_node.inference.glam.package_golden import compare_golden_case
from glam_node.inference.glam.predictor import ARCHITECTURE
from glam_node.inference.glam.preprocessing import prepare
from glam_node.inference.glam.weights import load_network
from glam_node.inference.mammogram import Laterality, Mammogram, ViewPosition
from glam_node.inference.package import ModelPackage, read_package

# The published tables have four decimals; 2e-6 allows for float32 on another machine.
_OF_TABLE = 5e-5 + 2e-6
_OF_NOTEBOOK = 2e-6


@dataclass(frozen=True, slots=True)
class PublishedScore:
    """One published score of a sample image."""

    image: str
    """Stem of the sample's PNG file: exam, laterality, view."""
    kind: FindingKind
    score: float
    tolerance: float


def _of_readme(image: str, benign: float, malignant: float) -> tuple[PublishedScore, PublishedScore]:
    return (
        PublishedScore(image, FindingKind.BENIGN, benign, _OF_TABLE),
        PublishedScore(image, FindingKind.MALIGNANT, malignant, _OF_TABLE),
    )


Table = tuple[PublishedScore, ...]

# README (model_sep) and notebook (model_joint) of the published repository, by the name of the checkpoint
PUBLISHED_SCORES: Mapping[str, Table] = {
    "model_sep": (
        *_of_readme("0_L-CC", 0.3141, 0.0111),
        *_of_readme("0_R-CC", 0.4512, 0.1458),
        *_of_readme("0_L-MLO", 0.3604, 0.0723),
        *_of_readme("0_R-MLO", 0.4853, 0.1042),
    ),
    "model_joint": (PublishedScore("1_R-CC", FindingKind.MALIGNANT, 0.24665324, _OF_NOTEBOOK),),
}


def compare_published_scores(
    ledger: GoldenLedger, network: Glam, device: torch.device, images_dir: Path, table: Table
) -> None:
    """Record in `ledger` how far the scores of `network` are from `table`, for the images that `images_dir` holds."""
    network = network.to(device)
    for image in dict.fromkeys(row.image for row in table):
        path = images_dir / f"{image}.png"
        try:
            window = prepare(sample_view(path)).window
        except UnsupportedMammogram as error:
            ledger.leave_out(f"published scores of {image}", str(error))
            continue
        with full_precision():
            inputs = network.reduce(torch.from_numpy(window)[None, None].to(device))
            scores = network.global_network(inputs).scores[0].cpu().numpy()
        for row in table:
            if row.image == image:
                name = f"published {row.kind} score"
                ledger.compare(name, image, scores[CHANNELS.index(row.kind)], row.score, row.tolerance)


def sample_view(path: Path) -> Mammogram:
    """Read the published sample at `path`, a 16-bit grey PNG named like 0_L-CC.png whose right breasts point left.

    Raises:
        UnsupportedMammogram: There is no such file, or it is another kind of image.
    """
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if path.is_file() else None
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 2:
        raise UnsupportedMammogram(f"{path} does not exist, or is not a grey PNG image of 16 bits")
    laterality_text, _, view_text = path.stem.partition("_")[2].partition("-")
    laterality, view_position = Laterality(laterality_text), ViewPosition(view_text)
    return Mammogram(
        sop_instance_uid=f"2.25.{int(hashlib.sha256(path.stem.encode()).hexdigest()[:30], 16)}",
        image_laterality=laterality,
        view_position=view_position,
        pixels=pixels.astype(np.uint16),
        imager_pixel_spacing=None,
        patient_orientation=None,
    )


def verify_package(
    path: Path, images_dir: Path | None = None, device: str = "cpu", table: Table | None = None
) -> GoldenReport:
    """Check the digests of the package in directory `path`, recompute its golden case on `device` and compare.

    With `images_dir`, a folder of the published samples as PNG files, the scores of a package that was imported from a
    published checkpoint are also compared with the published ones (or with `table`).

    Raises:
        PackageMismatch: A digest is wrong, or the package is not a GLAM package.
        DeviceUnavailable: The machine lacks the device.
    """
    start = time.perf_counter()
    package = read_package(path)
    if package.architecture != ARCHITECTURE:
        raise PackageMismatch(f"{path} is a {package.architecture} package: only {ARCHITECTURE} packages are verified.")
    ledger = GoldenLedger()
    network = fold_for_inference(load_network(package))
    compare_golden_case(ledger, package, network, device)
    if images_dir is not None:
        chosen = table or published_table(package)
        if chosen:
            compare_published_scores(ledger, network, resolve_device(device), images_dir, chosen)
        else:
            ledger.leave_out("published scores", "the package was not imported from model_sep.ckpt or model_joint.ckpt")
    return GoldenReport(
        path=path,
        seed=package.seed or 0,
        quantities=tuple(ledger.quantities.values()),
        not_computed=tuple(ledger.not_computed),
        seconds=time.perf_counter() - start,
    )


def published_table(package: ModelPackage) -> Table:
    """Return the published scores of the checkpoint that `package` was imported from; empty if it is unknown."""
    name = str(package.parameters.get("checkpoint", ""))
    return PUBLISHED_SCORES.get(name, ())
