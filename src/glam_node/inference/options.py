"""How a predictor is run: what the operator chooses, beside the package that says what it computes."""

from dataclasses import dataclass
from enum import StrEnum


class Precision(StrEnum):
    """In which numbers the local network computes; the global one always in float32, narrower ones move its patch."""

    EXACT = "exact"
    """float32: scores within 2e-6 and saliency within 1e-4 of the plain network."""
    FAST = "fast"
    """bfloat16 (float16 on a GPU without it) where that is faster, else float32; local saliency within 2.5e-2."""


class Runtime(StrEnum):
    """Who computes on a CPU; on a GPU it is always torch."""

    AUTO = "auto"
    """The fastest of what is installed, for each network."""
    TORCH = "torch"
    OPENVINO = "openvino"
    """Of the extra `fast`: OpenVINO for the global network, and for the local one in bfloat16."""
    NCNN = "ncnn"
    """Of the extra `fast`: ncnn for the local network, always in float32; the global one by OpenVINO, or by torch."""


class Segment(StrEnum):
    """Which images are outlined."""

    POSITIVE = "positive"
    """Those whose score reaches an operating point; the others need no local network."""
    ALWAYS = "always"
    """All, whatever their score."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The choices; by default the reference route."""

    precision: Precision = Precision.EXACT
    runtime: Runtime = Runtime.TORCH
    segment: Segment = Segment.POSITIVE


REFERENCE_RUN = RunOptions()
