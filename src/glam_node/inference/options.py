"""Options for running a predictor, which change its speed and its output's precision, but not its weights."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Precision(StrEnum):
    """The number format of the local network.

    The global network always computes in float32: narrower numbers would move the patches that it proposes.
    """

    EXACT = "exact"
    """float32: scores within 2e-6 and saliency within 1e-4 of the plain network."""
    FAST = "fast"
    """Also bfloat16 (float16 on a GPU without it), if it is the fastest: local saliency within 2.5e-2."""


class Runtime(StrEnum):
    """The library that computes on a CPU; on a GPU it is always torch."""

    AUTO = "auto"
    """The fastest of the installed libraries, for each network, by measurement or in a fixed order (see Measure)."""
    TORCH = "torch"
    OPENVINO = "openvino"
    """OpenVINO (extra `fast`) for the global network, and for the local one in bfloat16."""
    NCNN = "ncnn"
    """ncnn (extra `fast`) for the local network, always in float32; OpenVINO or torch for the global one."""


class Segment(StrEnum):
    """The images whose findings are outlined."""

    POSITIVE = "positive"
    """Images whose score reaches an operating point; the others do not need the local network."""
    ALWAYS = "always"
    """All images, whatever their score."""


class Measure(StrEnum):
    """The time at which the routes are measured between which runtime AUTO and precision FAST choose on a CPU."""

    NEVER = "never"
    """A kept measurement decides; without one, a fixed order decides."""
    ONCE = "once"
    """They are measured if no measurement is kept for this machine, package and versions."""
    AGAIN = "again"
    """They are measured in any case."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options for running a predictor; the defaults are the reference that other routes are compared with."""

    precision: Precision = Precision.EXACT
    runtime: Runtime = Runtime.TORCH
    segment: Segment = Segment.POSITIVE
    measure: Measure = Measure.NEVER
    route_record: Path | None = None
    """The file that keeps measurements, read and written by `glam_node.inference.route_record`; None: none is kept."""
    may_write_record: Callable[[], bool] | None = None
    """Returns whether the record may be written now: its share may go away during a measurement; None: always."""


REFERENCE_RUN = RunOptions()
