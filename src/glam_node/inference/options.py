"""Options for running a predictor, which change its speed and its output's precision, but not its weights."""

from dataclasses import dataclass
from enum import StrEnum


class Precision(StrEnum):
    """The number format of the local network.

    The global network always computes in float32: narrower numbers would move the patches that it proposes.
    """

    EXACT = "exact"
    """float32: scores within 2e-6 and saliency within 1e-4 of the plain network."""
    FAST = "fast"
    """bfloat16 (float16 on a GPU without it) where that is faster, else float32: local saliency within 2.5e-2."""


class Runtime(StrEnum):
    """The library that computes on a CPU; on a GPU it is always torch."""

    AUTO = "auto"
    """The fastest of the installed libraries, for each network."""
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


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options for running a predictor; the defaults are the reference that other routes are compared with."""

    precision: Precision = Precision.EXACT
    runtime: Runtime = Runtime.TORCH
    segment: Segment = Segment.POSITIVE


REFERENCE_RUN = RunOptions()
