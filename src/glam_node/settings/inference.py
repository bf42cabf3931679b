"""The model, and how it is run."""

from typing import Literal

from pydantic import Field

from glam_node.settings.section import Section
from glam_node.settings.values import Device, Directory, Patience, Predictor


class OperatingPointSettings(Section):
    """[inference.operating_points.benign|malignant]: overrides of the package's own values."""

    image_score_threshold: float | None = Field(default=None, ge=0, le=1)
    """An image whose score is under this is negative for the class."""
    local_saliency_threshold: float | None = Field(default=None, ge=0, le=1)
    """Inside the patches a pixel belongs to a finding above this local saliency."""
    global_saliency_threshold: float | None = Field(default=None, ge=0, le=1)
    """Outside the patches a pixel belongs to a finding above this global saliency."""
    minimum_area_px: int | None = Field(default=None, ge=1)
    """Regions of fewer model pixels are dropped."""


class CalibrationSettings(Section):
    """[inference.calibration.benign|malignant]: Platt's scale of image scores, fitted on the site's own women."""

    slope: float = Field(ge=0, le=100, allow_inf_nan=False)
    """Of the logarithm of the odds of a score: probability = 1 / (1 + exp(-(slope x logit(score) + intercept)))."""
    intercept: float = Field(ge=-100, le=100, allow_inf_nan=False)
    """What is added to it."""


class InferenceSettings(Section):
    """[inference]: the model."""

    predictor: Predictor = "glam_node.inference.glam.predictor:GlamPredictor"
    """The predictor, as "module:Class"."""
    package: Directory | None = None
    """Directory of the model package; unset: the demonstration that ships with glam-node, which is not for patients."""
    demonstration_on_patients: bool = False
    """Let a package that was trained on synthetic images alone, as the one that ships is, score and outline patients'
    images, to try the node; what it finds on them means nothing. Phantoms are analysed in any case."""
    device: Device = "auto"
    """auto, cpu, cuda or cuda:N."""
    precision: Literal["exact", "fast"] = "exact"
    """exact: float32; fast: the local network in narrower numbers where they save time (saliency within 0.025, scores
    and place of the patch unchanged)."""
    runtime: Literal["auto", "torch", "openvino", "ncnn"] = "auto"
    """On a CPU; openvino and ncnn: the extra `fast`, ncnn for the local network, at 0.6 GB more memory than the others;
    auto: the fastest of what is installed."""
    segment: Literal["positive", "always"] = "positive"
    """Images to outline; positive: those whose score reaches an operating point (others cost a tenth); always: all."""
    threads: int = Field(default=0, ge=0, le=256)
    """CPU threads of one worker; 0: one for each physical core that it may use, within its container's quota."""
    overlap: Literal["auto", "always", "never"] = "auto"
    """Whether a worker reads the next study, and writes the last one's results, while one is on its device: two jobs
    at once, and their memory. auto: where the device is a GPU."""
    lease_time: Patience = 120.0
    """Seconds after which a job whose worker gives no sign of life goes to another."""
    maximum_attempts: int = Field(default=3, ge=1, le=100)
    """Attempts at one job before it is FAILED and a person must act."""
    operating_points: dict[Literal["benign", "malignant"], OperatingPointSettings] = Field(default={})
    """Per class, values that take the place of the package's."""
    calibration: dict[Literal["benign", "malignant"], CalibrationSettings] = Field(default={})
    """Per class, a scale in place of the package's; results say that the site calibrated."""
