"""Tests that every route gives the values of the plain network within its tolerance, and states which route it is."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from glam_node.inference.errors import PackageMismatch
from glam_node.inference.findings import FindingKind
from glam_node.inference.glam import routes
from glam_node.inference.glam.fold import fold_for_inference
from glam_node.inference.glam.network import Glam
from glam_node.inference.glam.predictor import GlamPredictor
from glam_node.inference.glam.routes import Route, fixed_route, open_routes, take_route
from glam_node.inference.glam.weights import StateDict, load_network
from glam_node.inference.options import Precision, RunOptions, Runtime, Segment
from glam_node.inference.package import OperatingPoint
from tests import networks
from tests.reference.network import look_globally, look_locally
from tests.unit.inference.glam.tiny_package import tiny_package
from tests.unit.inference.glam.views import half_ellipse, view_of

CPU = torch.device("cpu")
EXACT = [Route(Runtime.TORCH), Route(Runtime.OPENVINO), Route(Runtime.OPENVINO, Runtime.NCNN)]
FAST = [Route(runtime, runtime, torch.bfloat16) for runtime in (Runtime.TORCH, Runtime.OPENVINO)]
OPENVINO, NCNN, TORCH = Runtime.OPENVINO, Runtime.NCNN, Runtime.TORCH
AVX2, AVX512, AMX = "fpu avx2", "fpu avx2 avx512f avx512_bf16", "fpu avx2 avx512f avx512_bf16 amx_tile amx_bf16"
NEVER = {kind: OperatingPoint(1.0, 0.5, 0.5, 1) for kind in FindingKind}

Along = Callable[[Route], Glam]


@pytest.fixture(scope="module")
def along(state: StateDict) -> Along:
    """Return a function that returns the network with a route."""
    return lambda route: networks.along(route, state)


@pytest.mark.parametrize("route", [*EXACT, *FAST], ids=str)
def test_scores_equal_those_of_the_plain_network(along: Along, route: Route, state: StateDict) -> None:
    windows = torch.randn(2, 1, 192, 256, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        overview = along(route).global_network(windows)
    scores, saliency = look_globally(state, windows)
    torch.testing.assert_close(overview.scores, scores, rtol=0, atol=2e-6)
    torch.testing.assert_close(overview.saliency, saliency, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("route", "tolerance"), [*((each, 2e-5) for each in EXACT), *((each, 2.5e-2) for each in FAST)]
)
def test_local_saliency_equals_that_of_the_plain_network(
    along: Along, route: Route, tolerance: float, state: StateDict
) -> None:
    # Processors without bfloat16 emulate it slowly.
    sides = (2, 1, 96, 64) if route in EXACT else (1, 1, 64, 48)
    patches = torch.randn(*sides, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        local = along(route).detection_network(patches)
    assert local.dtype == torch.float32
    torch.testing.assert_close(local, look_locally(state, patches), rtol=0, atol=tolerance)


@pytest.mark.parametrize("route", EXACT, ids=str)
def test_a_reduced_network_works_on_every_route(route: Route, tmp_path: Path) -> None:
    package = tiny_package(tmp_path)
    window = torch.randn(1, 1, 2944, 1920, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        plain = load_network(package)(window)
        taken = take_route(fold_for_inference(load_network(package)), route, threads=1)(window)
    torch.testing.assert_close(taken.overview.scores, plain.overview.scores, rtol=0, atol=2e-6)
    torch.testing.assert_close(taken.local_saliency, plain.local_saliency, rtol=0, atol=2e-5)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that makes only these runtimes seem installed; `None` in sys.modules blocks an import."""

    def only(*runtimes: Runtime) -> None:
        monkeypatch.setattr(routes, "find_spec", lambda name: object() if name in runtimes else None)
        for runtime in {Runtime.OPENVINO, Runtime.NCNN} - set(runtimes):
            monkeypatch.setitem(sys.modules, runtime, None)

    return only


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that makes the processor seem to have these flags."""
    return lambda flags: monkeypatch.setattr(routes, "processor_flags", lambda: frozenset(flags.split()))


@pytest.mark.parametrize(
    ("runtime", "precision", "there", "flags", "route"),
    [
        ("auto", "exact", [OPENVINO, NCNN], AVX512, Route(OPENVINO, NCNN)),
        ("auto", "exact", [OPENVINO], AVX512, Route(OPENVINO, TORCH)),
        ("auto", "exact", [NCNN], AVX512, Route(TORCH, NCNN)),
        ("auto", "exact", [], AMX, Route(TORCH, TORCH)),
        ("auto", "fast", [OPENVINO, NCNN], AVX512, Route(OPENVINO, NCNN)),
        ("auto", "fast", [OPENVINO, NCNN], AVX2, Route(OPENVINO, NCNN)),
        ("auto", "fast", [OPENVINO, NCNN], AMX, Route(OPENVINO, NCNN)),
        ("auto", "fast", [OPENVINO], AVX512, Route(OPENVINO, TORCH)),
        ("auto", "fast", [OPENVINO], AVX2, Route(OPENVINO, TORCH)),
        ("auto", "fast", [NCNN], AMX, Route(TORCH, NCNN)),
        ("auto", "fast", [], AVX512, Route(TORCH, TORCH)),
        ("torch", "exact", [OPENVINO, NCNN], AMX, Route(TORCH, TORCH)),
        ("torch", "fast", [OPENVINO, NCNN], AMX, Route(TORCH, TORCH)),
        ("torch", "fast", [OPENVINO, NCNN], AVX2, Route(TORCH, TORCH)),
        ("openvino", "exact", [OPENVINO, NCNN], AMX, Route(OPENVINO, TORCH)),
        ("openvino", "fast", [OPENVINO, NCNN], AVX512, Route(OPENVINO, TORCH)),
        ("ncnn", "exact", [OPENVINO, NCNN], AVX2, Route(OPENVINO, NCNN)),
        ("ncnn", "fast", [NCNN], AMX, Route(TORCH, NCNN)),
    ],
)
def test_the_fixed_order_is_exact_and_prefers_ncnn(
    runtime: str,
    precision: str,
    there: list[Runtime],
    flags: str,
    route: Route,
    installed: Callable[..., None],
    processor: Callable[[str], None],
) -> None:
    installed(*there)
    processor(flags)
    assert fixed_route(RunOptions(Precision(precision), Runtime(runtime)), CPU) == route


NARROW_TORCH, NARROW_OPENVINO = (Route(TORCH, runtime, torch.bfloat16) for runtime in (TORCH, OPENVINO))


@pytest.mark.parametrize(
    ("runtime", "precision", "there", "flags", "for_global", "for_local"),
    [
        ("auto", "exact", [OPENVINO, NCNN], AMX, [TORCH, OPENVINO], [Route(TORCH), Route(TORCH, NCNN)]),
        ("auto", "exact", [], AMX, [TORCH], [Route(TORCH)]),
        ("auto", "fast", [NCNN], AVX2, [TORCH], [Route(TORCH), Route(TORCH, NCNN)]),
        ("auto", "fast", [OPENVINO, NCNN], AVX512, [TORCH, OPENVINO],
         [Route(TORCH), NARROW_TORCH, NARROW_OPENVINO, Route(TORCH, NCNN)]),
        ("torch", "exact", [OPENVINO, NCNN], AMX, [TORCH], [Route(TORCH)]),
        ("torch", "fast", [OPENVINO, NCNN], AVX512, [TORCH], [Route(TORCH), NARROW_TORCH]),
        ("openvino", "fast", [OPENVINO], AMX, [OPENVINO],
         [Route(OPENVINO), Route(OPENVINO, OPENVINO, torch.bfloat16)]),
        ("ncnn", "fast", [OPENVINO, NCNN], AMX, [OPENVINO], [Route(OPENVINO, NCNN)]),
    ],
)  # fmt: skip
def test_the_settings_and_the_installed_runtimes_leave_routes_open(
    runtime: str,
    precision: str,
    there: list[Runtime],
    flags: str,
    for_global: list[Runtime],
    for_local: list[Route],
    installed: Callable[..., None],
    processor: Callable[[str], None],
) -> None:
    installed(*there)
    processor(flags)
    found = open_routes(RunOptions(Precision(precision), Runtime(runtime)), CPU)
    assert [one.runtime for one in found.for_global] == for_global
    assert list(found.for_local) == for_local


@pytest.mark.parametrize(("runtime", "name"), [(Runtime.OPENVINO, "OpenVINO"), (Runtime.NCNN, "ncnn")])
def test_a_runtime_that_is_missing_and_asked_for_by_name_is_refused(
    runtime: Runtime, name: str, installed: Callable[..., None]
) -> None:
    installed()
    with pytest.raises(PackageMismatch, match=rf"needs {name}: pip install .*fast"):
        fixed_route(RunOptions(runtime=runtime), CPU)


@pytest.mark.parametrize("runtime", [Runtime.OPENVINO, Runtime.NCNN])
def test_cpu_runtimes_are_refused_for_a_gpu(runtime: Runtime) -> None:
    with pytest.raises(PackageMismatch, match="is for the CPU, not cuda"):
        fixed_route(RunOptions(runtime=runtime), torch.device("cuda"))


def test_a_route_states_the_runtime_of_each_network() -> None:
    assert str(Route(TORCH)) == "torch"
    assert str(Route(OPENVINO, NCNN)) == "openvino, local network by ncnn"
    assert str(Route(TORCH, TORCH, torch.bfloat16)) == "torch, local network in bfloat16"
    assert str(Route(OPENVINO, OPENVINO, torch.bfloat16)) == "openvino, local network in bfloat16"


def test_the_algorithm_states_narrow_number_formats() -> None:
    assert Route(TORCH, TORCH, torch.bfloat16).parameters == (("local_precision", "bfloat16"),)
    assert Route(OPENVINO, NCNN).parameters == ()


SHORT_OF_MEMORY = """
import resource, torch
from pathlib import Path
from glam_node.inference.glam.fold import fold_for_inference
from glam_node.inference.glam.ncnn_route import NcnnLocalNetwork
from glam_node.inference.glam.network import Glam
local = NcnnLocalNetwork(fold_for_inference(Glam()).detection_network, threads=1)
patches = torch.zeros(1, 1, 512, 512)
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 60_000_000, resource.RLIM_INFINITY))
try:
    local(patches)
except MemoryError as error:
    print(error)
"""


def test_ncnn_reports_a_lack_of_memory() -> None:
    told = subprocess.run([sys.executable, "-c", SHORT_OF_MEMORY], capture_output=True, text=True, timeout=120)
    assert told.stdout == "ncnn does not have enough free memory for a patch.\n"


def test_the_score_decides_nothing_when_every_image_is_segmented(tmp_path: Path) -> None:
    package = replace(tiny_package(tmp_path), operating_points=NEVER)
    view = view_of(half_ellipse((900, 600), 800, 500))
    positive, always = (GlamPredictor.from_package(package, "cpu", RunOptions(segment=segment)) for segment in Segment)
    assert positive.segment([view])[0].findings == ()
    assert len(always.segment([view])[0].findings) > 0
    assert ("segment", "always") in always.algorithm.parameters
    assert set(positive.algorithm.parameters) < set(always.algorithm.parameters), "the operating points are the same"
