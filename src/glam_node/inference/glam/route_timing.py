"""The measurement of the open routes on this machine: the time of each, and its difference from torch.

The routes of a network take turns, so that other load affects all of them. One that is clearly slower drops out early.
"""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median

import torch
from torch import Tensor

from glam_node.inference.glam.device import full_precision, give_back_freed
from glam_node.inference.glam.network import Glam
from glam_node.inference.glam.routes import OpenRoutes, Route, global_module, local_module, name_of_type
from glam_node.inference.glam.stopwatch import Stopwatch
from glam_node.inference.glam.window import WINDOW_SHAPE
from glam_node.inference.options import Runtime
from glam_node.inference.route_record import GLOBAL, LOCAL, RouteMeasurement, RouteTime

SCORE_ERROR = 2e-6
SALIENCY_ERROR = {torch.float32: 1e-4, torch.bfloat16: 2.5e-2}
"""Largest differences from torch in float32 that the precision promises."""
TIME_LIMIT_S = 2.5
"""Seconds after which the routes of a network get no third round; after twice as many they get no second one."""
_LEAST_TIME_S = 0.3
_CHEAP_S = 0.05
"""A route whose calls are shorter never drops out, since noise could be the reason."""
_ROUNDS, _MAXIMUM_ROUNDS = 7, 50
"""Rounds that are enough, and the most that calls of milliseconds get until `_LEAST_TIME_S` is over."""
_LOST_PART = 2.5
_LOST = {1: 2.0, 2: 1.5}
_LOST_LATER = 1.3
"""Multiples of the shortest time at which a route drops out, by the number of its calls with the whole input."""
_LEAST_CONTENDERS = 2
_PART = 4
"""The first calls of each route get a corner with this part of each side; a route that is much slower drops out."""
_MULTIPLE = 128
"""Number by which the sides of the corner are divisible, as Winograd's tiles need them."""
_DISTURBED = 1.1
"""Ratio of median to shortest time of the fastest route up to which nothing disturbed it."""
_SPREAD_OF_ONE = 1.2
"""The ratio to assume if there was time for one call only."""

_WAITED, _CLEAR = 0.1, 2.0
"""Share of the time up to which threads may have waited for a processor; after more, times must differ clearly."""

_Run = Callable[[Tensor], Sequence[Tensor]]


@dataclass
class Contender:
    """One route of one network in a race."""

    runtime: str
    number_format: str
    load: Callable[[], _Run]
    """Load the route and return the function that computes its outputs."""
    tolerances: Sequence[float]
    """Largest difference of each output from that of the first contender."""
    run: _Run | None = None
    racing: bool = True
    seconds: dict[int, list[float]] = field(default_factory=dict)
    """Times of all calls, by the number of values of the input."""
    error: float = 0.0
    failure: str = ""

    def call(self, inputs: Tensor, watch: Stopwatch) -> Sequence[Tensor]:
        """Compute the outputs for `inputs` and record the time; after a failure drop out and return nothing.

        Raises:
            MachineBusy: As `Stopwatch.check`.
        """
        watch.check()
        try:
            self.run = self.run or self.load()
            started = watch.now()
            outputs = self.run(inputs)
            self.seconds.setdefault(inputs.numel(), []).append(watch.now() - started)
        except Exception as error:
            self.drop(f"It failed: {type(error).__name__}: {error}")
            return ()
        return outputs

    def compare(self, outputs: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
        """Drop out if an output is out of tolerance."""
        for output, wanted, tolerance in zip(outputs, expected, self.tolerances, strict=True):
            difference = float((output - wanted).abs().max())
            self.error = max(self.error, difference)
            if not difference <= tolerance:
                self.drop(f"It differs from torch by {difference:.1e}, more than {tolerance:.1e}.")

    def drop(self, failure: str = "") -> None:
        """Leave the race and free the route's memory."""
        self.racing, self.run, self.failure = False, None, failure or self.failure

    def shortest(self, inputs: Tensor) -> float:
        """Return the shortest time of a call with inputs of this size; infinity if there was none."""
        return min(self.seconds.get(inputs.numel(), ()), default=math.inf)


def measure_routes(network: Glam, routes: OpenRoutes, threads: int) -> RouteMeasurement:
    """Measure the open routes of `network`, which is folded and on the CPU and stays as it is.

    Raises:
        RuntimeError: torch cannot compute a network.
        MachineBusy: Other programs leave too little of the processor.
    """
    started, races = time.perf_counter(), []
    reduction, side = network.shape.reduction, network.shape.patch_size // network.shape.reduction
    with full_precision():
        if len(routes.for_global) > 1:
            contenders = [_for_global(network, route, threads) for route in routes.for_global]
            window = _inputs(*(extent // reduction for extent in WINDOW_SHAPE))
            races.append((GLOBAL, contenders, race(contenders, window, Stopwatch(threads))))
        if len(routes.for_local) > 1:
            contenders = [_for_local(network, route, threads) for route in routes.for_local]
            races.append((LOCAL, contenders, race(contenders, _inputs(side, side), Stopwatch(threads))))
        times = tuple(one for name, contenders, _ in races for one in _times(name, contenders))
    del contenders
    give_back_freed()
    return RouteMeasurement(
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        took_s=round(time.perf_counter() - started, 3),
        threads=threads,
        disturbed=any(disturbed for _, _, disturbed in races),
        times=times,
    )


def race(contenders: Sequence[Contender], inputs: Tensor, watch: Stopwatch) -> bool:
    """Let the contenders take turns on `inputs`, N x 1 x H x W, until the fastest is clear or the time is over.

    Returns:
        Whether the times varied more than the routes differ, so that other programs must have disturbed them.

    Raises:
        RuntimeError: The first contender, which computes the expected outputs, failed.
        MachineBusy: As `Stopwatch.check`.
    """
    first, *others = contenders
    part = _part(inputs)
    if part.numel() < inputs.numel():
        _call_and_compare(first, others, part, watch)
        for one in (one for one in contenders if one.racing):
            one.call(part, watch)
        # The first one stays, since the others are compared with it.
        for one in _slow(others, first.shortest(part), part, _LOST_PART):
            one.drop()
    _call_and_compare(first, others, inputs, watch)
    for count in itertools.count(1):
        for one in _slow(contenders, math.inf, inputs, _LOST.get(count, _LOST_LATER)):
            one.drop()
        racing = [one for one in contenders if one.racing]
        if _is_over(count, watch.elapsed()) or (count > 1 and len(racing) < _LEAST_CONTENDERS):
            break
        # The order changes, since each call leaves the processor's caches to the next one.
        for one in racing if count % 2 else racing[::-1]:
            one.call(inputs, watch)
    return _is_disturbed(contenders, inputs, watch.share_waited())


def _part(inputs: Tensor) -> Tensor:
    rows, columns = (max(side // _PART // _MULTIPLE, 1) * _MULTIPLE for side in inputs.shape[2:])
    return inputs[:, :, :rows, :columns].contiguous()


def _call_and_compare(first: Contender, others: Sequence[Contender], inputs: Tensor, watch: Stopwatch) -> None:
    expected = first.call(inputs, watch)
    if first.failure:
        raise RuntimeError(f"{first.runtime} cannot compute the network. {first.failure}")
    for one in others:
        if one.racing and (outputs := one.call(inputs, watch)):
            one.compare(outputs, expected)


def _slow(contenders: Sequence[Contender], known_s: float, inputs: Tensor, lost: float) -> list[Contender]:
    """Return contenders that took more than `lost` times as long as the fastest, or as `known_s`, and are expensive."""
    racing = [one for one in contenders if one.racing]
    limit = max(lost * min([known_s, *(one.shortest(inputs) for one in racing)]), _CHEAP_S)
    return [one for one in racing if one.shortest(inputs) > limit]


def _is_over(rounds: int, seconds: float) -> bool:
    limit_s = 2 * TIME_LIMIT_S if rounds == 1 else TIME_LIMIT_S
    return seconds > limit_s or (rounds >= _ROUNDS and seconds > _LEAST_TIME_S) or rounds >= _MAXIMUM_ROUNDS


def _is_disturbed(contenders: Sequence[Contender], inputs: Tensor, share_waited: float) -> bool:
    """Return whether the times of the fastest contender vary, or threads waited, more than it differs from the next."""
    ranked = sorted((one for one in contenders if not one.failure), key=lambda one: one.shortest(inputs))
    if len(ranked) < _LEAST_CONTENDERS:
        return False
    best, second = (one.shortest(inputs) for one in ranked[:2])
    # The first call may be slow by itself.
    later = ranked[0].seconds[inputs.numel()][1:]
    spread = median(later) / min(later) if later else _SPREAD_OF_ONE
    varied = spread > _DISTURBED and second < spread * best
    return varied or (share_waited > _WAITED and second < _CLEAR * best)


def _times(network: str, contenders: Sequence[Contender]) -> Iterator[RouteTime]:
    """Yield the time of each contender with whole inputs; those of early losers are estimated, rather too long."""
    part, whole = min(contenders[0].seconds), max(contenders[0].seconds)
    both = [one.seconds for one in contenders if part in one.seconds and whole in one.seconds]
    factor = max(min(seconds[whole]) / min(seconds[part]) for seconds in both)
    for one in contenders:
        estimates = [factor * seconds for seconds in one.seconds.get(part, ())]
        seconds = min(one.seconds.get(whole, estimates), default=None)
        yield RouteTime(network, one.runtime, one.number_format, seconds, one.error, one.failure)


def _for_global(network: Glam, route: Route, threads: int) -> Contender:
    def load() -> _Run:
        module = global_module(network.global_network.downsampling_branch, route, threads).eval()
        heads = network.global_network.postprocess_module

        def run(window: Tensor) -> Sequence[Tensor]:
            output = heads(module(window))
            return output.scores, output.saliency

        return run

    return Contender(route.runtime, name_of_type(torch.float32), load, (SCORE_ERROR, SALIENCY_ERROR[torch.float32]))


def _for_local(network: Glam, route: Route, threads: int) -> Contender:
    def load() -> _Run:
        # torch's routes change the module.
        local = network.detection_network
        own = deepcopy(local) if route.local_runtime is Runtime.TORCH else local
        module = local_module(own, network.shape, route, threads).eval()
        return lambda patch: (module(patch),)

    return Contender(route.local_runtime, name_of_type(route.local_type), load, (SALIENCY_ERROR[route.local_type],))


def _inputs(rows: int, columns: int) -> Tensor:
    """Return a window or patch as bright as a standardised one: noise with one bright, soft-edged mass."""
    noise = torch.randn(1, 1, rows, columns, generator=torch.Generator().manual_seed(1)) * 0.3
    # The mass lies in the first rows, so that it is inside the part, too.
    down, across = (torch.arange(extent)[:, None] - rows / 8 for extent in (rows, columns))
    mass = torch.exp(-(down**2 + across.T**2) / (rows / 16) ** 2)
    return noise + 6.0 * mass
