"""The choice of the route in force: by a measurement on this machine, or in a fixed order where none was made."""

import hashlib
from importlib.metadata import PackageNotFoundError, version

import torch

from glam_node.inference.cores import processor_identity
from glam_node.inference.glam.network import Glam
from glam_node.inference.glam.route_timing import measure_routes
from glam_node.inference.glam.routes import OpenRoutes, Route, fixed_route, joined, name_of_type, open_routes
from glam_node.inference.glam.stopwatch import MachineBusy
from glam_node.inference.options import Measure, RunOptions
from glam_node.inference.package import ModelPackage
from glam_node.inference.route_record import (
    GLOBAL,
    LOCAL,
    MAXIMUM_ATTEMPTS,
    Key,
    RouteDecision,
    RouteMeasurement,
    RouteRecord,
)

_PACKAGES = ("glam-node", "torch", "openvino", "ncnn")
_NOT_MEASURED = (
    "chosen in a fixed order, since no measurement is kept for this machine, package and versions; a worker measures "
    "when it starts"
)
_DISTURBED = "other programs disturbed it, so the next start of a worker measures again"


def choose_route(
    network: Glam, package: ModelPackage, options: RunOptions, device: torch.device
) -> tuple[Route, RouteDecision]:
    """Return the route for `network`, which is folded and on the CPU, and the reason for it.

    Raises:
        PackageMismatch: A runtime that `options` names is not installed, or not for this device.
    """
    routes, threads = open_routes(options, device), torch.get_num_threads()
    if not routes.is_choice:
        return routes.first, RouteDecision(_only_reason(options, device))
    record = RouteRecord(options.route_record, machine_key(package, options, threads), options.may_write_record)
    kept = record.measurement()
    route = None if kept is None else _route_of(kept, routes)
    if options.measure is not Measure.AGAIN:
        if kept is not None and route is not None and not (kept.disturbed and options.measure is Measure.ONCE):
            return route, _decision(kept)
        if record.failed_attempts() >= MAXIMUM_ATTEMPTS:
            return _after_failure(routes, f"{MAXIMUM_ATTEMPTS} measurements ended with their process")
    if options.measure is Measure.NEVER:
        return fixed_route(options, device), RouteDecision(_NOT_MEASURED)
    return _measured(network, routes, threads, record, kept)


def _only_reason(options: RunOptions, device: torch.device) -> str:
    if device.type != "cpu":
        return "a GPU computes with torch"
    return f'the only one for inference.runtime = "{options.runtime}" and inference.precision = "{options.precision}"'


def _measured(
    network: Glam, routes: OpenRoutes, threads: int, record: RouteRecord, kept: RouteMeasurement | None
) -> tuple[Route, RouteDecision]:
    """Measure the routes and keep the measurement; after a failure return the route with the least memory.

    On a machine that is too busy, a measurement that was kept before decides again.
    """
    record.begin()
    measurement: RouteMeasurement | None = None
    try:
        measurement = measure_routes(network, routes, threads)
        failure = "no route gave results within tolerance"
    except MachineBusy as error:
        measurement, failure = kept, str(error)
    except Exception as error:
        failure = f"{type(error).__name__}: {error}"
    route = None if measurement is None else _route_of(measurement, routes)
    record.keep(measurement)
    if measurement is None or route is None:
        return _after_failure(routes, failure)
    return route, _decision(measurement)


def _after_failure(routes: OpenRoutes, failure: str) -> tuple[Route, RouteDecision]:
    problem = (
        f"The routes could not be measured ({failure}), so the one with the least memory is used: it may be slow. "
        "Run `glam-node model time --routes --again`, or set inference.runtime."
    )
    return routes.first, RouteDecision("the one with the least memory, since the measurement failed", None, problem)


def _decision(measurement: RouteMeasurement) -> RouteDecision:
    reason = f"{measurement}; {_DISTURBED}" if measurement.disturbed else str(measurement)
    failures = [
        f"The {one.network} network by {one.runtime} in {one.number_format} is never chosen. {one.failure}"
        for one in measurement.times
        if one.failure
    ]
    return RouteDecision(reason, measurement, " ".join(failures))


def _route_of(measurement: RouteMeasurement, routes: OpenRoutes) -> Route | None:
    """Return the fastest route of a measurement; None if it is not one of `routes`, as in a record from elsewhere."""
    chosen = []
    for network, open_ones in ((GLOBAL, routes.for_global), (LOCAL, routes.for_local)):
        best = measurement.chosen(network)
        names: dict[tuple[str, str], Route] = {
            (one.runtime if network == GLOBAL else one.local_runtime, name_of_type(one.local_type)): one
            for one in open_ones
        }
        only = open_ones[0] if len(open_ones) == 1 else None
        route = only if best is None else names.get((best.runtime, best.number_format))
        if route is None:
            return None
        chosen.append(route)
    return joined(*chosen)


def machine_key(package: ModelPackage, options: RunOptions, threads: int) -> Key:
    """Return the facts that the time of a route depends on, as text."""
    shape = hashlib.sha256(repr(sorted(package.shape.items())).encode()).hexdigest()
    return {
        "processor": processor_identity(),
        "threads": str(threads),
        "weights": package.weights_sha256,
        "shape": shape[:16],
        "runtime": options.runtime,
        "precision": options.precision,
        **{name: _version(name) for name in _PACKAGES},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
