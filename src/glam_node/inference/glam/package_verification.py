"""Verification that a package is intact and computes here what it computed where it was made."""

import time
from pathlib import Path

from glam_node.inference.errors import PackageMismatch
from glam_node.inference.glam.device import resolve_device
from glam_node.inference.glam.fold import fold_for_inference
from glam_node.inference.glam.golden_report import GoldenLedger, GoldenReport
from glam_node.inference.glam.package_golden import compare_golden_case
from glam_node.inference.glam.predictor import ARCHITECTURE
from glam_node.inference.glam.published_scores import PUBLISHED_SCORES, Table, compare_published_scores
from glam_node.inference.glam.weights import load_network
from glam_node.inference.package import ModelPackage, read_package


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
