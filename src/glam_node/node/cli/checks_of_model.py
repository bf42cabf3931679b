"""The check of `doctor` that the model loads as in a worker and reproduces the golden case of its package."""

import time
from collections.abc import Iterator

from glam_node.inference.errors import DeviceUnavailable, InferenceError
from glam_node.node.cli.checks import Check, Verdict
from glam_node.settings.schema import Settings


def check_model(settings: Settings) -> Iterator[Check]:
    """Check that the model package loads on the configured device; then recompute its golden case."""
    check = _load(settings)
    yield check
    if check.verdict is not Verdict.FAIL:
        yield from _golden_case(settings)


def _load(settings: Settings) -> Check:
    from glam_node.node.bootstrap import kind_rules, load_configured_predictor

    started = time.monotonic()
    try:
        predictor = load_configured_predictor(settings)
        algorithm = predictor.algorithm
    except DeviceUnavailable as error:
        return Check("model", Verdict.FAIL, str(error), 'Check inference.device; "auto" uses a device that exists.')
    except InferenceError as error:
        return Check("model", Verdict.FAIL, str(error), "Check inference.package and inference.predictor.")
    seconds = time.monotonic() - started
    route = f" ({route})" if (route := getattr(predictor, "route", "")) else ""
    loaded = f"{algorithm.algorithm_name} {algorithm.algorithm_version} loads in {seconds:.1f} s{route}"
    remedy = "Import your own weights with `glam-node model import`, then set inference.package."
    if not algorithm.trained:
        return Check("model", Verdict.WARN, f"{loaded}; UNTRAINED: its findings are meaningless", remedy)
    if kind_rules(settings).phantoms_only:
        fact = "trained on synthetic images: it analyses phantoms, and leaves out the images of patients"
        trial = "To try the node on images of patients nevertheless, set inference.demonstration_on_patients = true."
        return Check("model", Verdict.WARN, f"{loaded}; {fact}", f"{remedy} {trial}")
    if settings.inference.demonstration_on_patients:
        fact = "inference.demonstration_on_patients is set: its findings on images of patients are meaningless"
        return Check("model", Verdict.WARN, f"{loaded}; {fact}", remedy)
    return Check("model", Verdict.OK, f"{loaded}, digest {algorithm.weights_sha256[:12]}")


def _golden_case(settings: Settings) -> Iterator[Check]:
    from glam_node.inference.card import DEFAULT_PACKAGE
    from glam_node.settings.inference import InferenceSettings

    if settings.inference.predictor != InferenceSettings().predictor:
        return
    from glam_node.inference.glam.package_verification import verify_package

    package = settings.inference.package or DEFAULT_PACKAGE
    try:
        report = verify_package(package, None, settings.inference.device)
    except InferenceError as error:
        yield Check("golden case", Verdict.FAIL, str(error), f"glam-node model verify {package}")
        return
    if report.passed:
        fact = f"{len(report.quantities)} quantities match the machine that made the package, in {report.seconds:.1f} s"
        yield Check("golden case", Verdict.OK, fact)
    elif not report.quantities:
        yield Check(
            "golden case", Verdict.WARN, "the package has no golden case", "Ask the maker of the package for one."
        )
    else:
        remedy = f"This machine computes other values: `glam-node model verify {package}` shows which."
        yield Check("golden case", Verdict.FAIL, "values are out of tolerance", remedy)
