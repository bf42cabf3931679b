"""Settings of [inference]."""

from typing import Literal

from pydantic import Field

from glam_node.settings.section import Section
from glam_node.settings.values import Device, Directory, Predictor, Timeout


class OperatingPointSettings(Section):
    """[inference.operating_points.benign|malignant]: values that replace those of the package."""

    image_score_threshold: float | None = Field(default=None, ge=0, le=1)
    """An image with a lower score is negative for the class."""
    local_saliency_threshold: float | None = Field(default=None, ge=0, le=1)
    """Inside the patches, a pixel with a higher local saliency belongs to a finding."""
    global_saliency_threshold: float | None = Field(default=None, ge=0, le=1)
    """Outside the patches, a pixel with a higher global saliency belongs to a finding."""
    minimum_area_px: int | None = Field(default=None, ge=1)
    """Regions with fewer pixels, counted in the model's window, are dropped."""


class CalibrationSettings(Section):
    """[inference.calibration.benign|malignant]: Platt scaling of image scores, fitted on the site's own patients."""

    slope: float = Field(ge=0, le=100, allow_inf_nan=False)
    """Slope in probability = 1 / (1 + exp(-(slope x logit(score) + intercept)))."""
    intercept: float = Field(ge=-100, le=100, allow_inf_nan=False)
    """Intercept in the same formula."""


class InferenceSettings(Section):
    """[inference]: the model, and how it runs."""

    predictor: Predictor = "glam_node.inference.glam.predictor:GlamPredictor"
    """Class of the predictor, as "module:Class"."""
    package: Directory | None = None
    """Directory of the model package; unset: the demonstration package of glam-node, which is not for patients."""
    demonstration_on_patients: bool = False
    """Let a package that was trained on synthetic images alone, such as the demonstration package, score and outline
    patients' images, to try the node. Its findings on them mean nothing. Phantoms are analysed in any case."""
    device: Device = "auto"
    """Device that computes: auto (CUDA if there is a GPU, else the CPU), cpu, cuda or cuda:N."""
    precision: Literal["exact", "fast"] = "exact"
    """exact: float32; fast: narrower numbers in the local network if a measurement shows that they save time (saliency
    within 0.025, scores and patch positions unchanged)."""
    runtime: Literal["auto", "torch", "openvino", "ncnn"] = "auto"
    """Library that computes on a CPU. auto: for each network the fastest of those installed, which a worker measures at
    its first start on a machine. openvino and ncnn need the extra `fast`. ncnn computes only the local network, and
    needs 0.6 GB more memory than the others."""
    segment: Literal["positive", "always"] = "positive"
    """Images to outline. positive: images whose score reaches an operating point (the others take a tenth of the time);
    always: all images."""
    threads: int = Field(default=0, ge=0, le=256)
    """Number of CPU threads of one worker; 0: one per physical core that it may use, within its container's quota."""
    overlap: Literal["auto", "always", "never"] = "auto"
    """Let a worker read the next study, and write the results of the last one, while a study is on its device. This
    needs the memory of two jobs. auto: only if the device is a GPU."""
    lease_time: Timeout = 120.0
    """Seconds without a sign of life from a worker after which its job is given to another."""
    maximum_attempts: int = Field(default=3, ge=1, le=100)
    """Number of attempts after which a job is FAILED and a person must act."""
    operating_points: dict[Literal["benign", "malignant"], OperatingPointSettings] = Field(default={})
    """Values that replace those of the package, by class."""
    calibration: dict[Literal["benign", "malignant"], CalibrationSettings] = Field(default={})
    """Calibration that replaces that of the package, by class; results state that the site calibrated."""
