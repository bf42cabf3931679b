"""The check of `doctor` that the model loads as in a worker and reproduces the golden case of its package."""

import time
from collections.abc import Iterator

from glam_node.inference.errors import DeviceUnavailable, InferenceError
from glam_node.inference.predictor import Predictor
from glam_node.inference.route_record import RouteDecision
from glam_node.node.cli.checks import Check, Verdict
from glam_node.settings.schema import Settings


def check_model(settings: Settings) -> Iterator[Check]:
    """Check that the model package loads on the configured device; then recompute its golden case."""
    from glam_node.node.bootstrap import load_configured_predictor

    started = time.monotonic()
    try:
        predictor = load_configured_predictor(settings)
    except DeviceUnavailable as error:
        yield Check("model", Verdict.FAIL, str(error), 'Check inference.device; "auto" uses a device that exists.')
        return
    except InferenceError as error:
        yield Check("model", Verdict.FAIL, str(error), "Check inference.package and inference.predictor.")
        return
    yield _loaded(settings, predictor, time.monotonic() - started)
    yield from _route(predictor)
    yield from _golden_case(settings)


def _route(predictor: Predictor) -> Iterator[Check]:
    """Yield the route in force and the reason for it, with the times of the other routes."""
    decision: RouteDecision | None = getattr(predictor, "route_decision", None)
    if decision is None:
        return
    fact = f"{getattr(predictor, 'route', '')}: {decision.reason}"
    if decision.problem:
        remedy = "Correct what the message names, or choose inference.runtime and inference.precision yourself."
        yield Check("route", Verdict.WARN, f"{fact}. {decision.problem}", remedy)
    else:
        yield Check("route", Verdict.OK, fact)


def _loaded(settings: Settings, predictor: Predictor, seconds: float) -> Check:
    from glam_node.node.bootstrap import kind_policy

    algorithm = predictor.algorithm
    route = f" ({route})" if (route := getattr(predictor, "route", "")) else ""
    loaded = f"{algorithm.algorithm_name} {algorithm.algorithm_version} loads in {seconds:.1f} s{route}"
    remedy = "Import your own weights with `glam-node model import`, then set inference.package."
    if not algorithm.trained:
        return Check("model", Verdict.WARN, f"{loaded}; UNTRAINED: its findings are meaningless", remedy)
    if kind_policy(settings).phantoms_only:
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
