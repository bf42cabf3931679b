"""Predictors that try a worker."""

import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
from kombu.transport.redis import Channel

from glam_node.inference.errors import DeviceUnavailable
from glam_node.inference.findings import ImageFindings
from glam_node.inference.mammogram import Mammogram
from glam_node.inference.options import REFERENCE_RUN, RunOptions
from glam_node.inference.package import ModelPackage
from glam_node.inference.threshold import ThresholdPredictor
from glam_node.node.worker.watchdog import Watchdog


class HeldPredictor(ThresholdPredictor):
    """Waits as long as the file that HOLD names is there."""

    def segment(self, mammograms: Sequence[Mammogram]) -> list[ImageFindings]:
        """As the threshold predictor, later."""
        while Path(os.environ["HOLD"]).exists():
            time.sleep(0.02)
        return super().segment(mammograms)


class SlowDevicePredictor(HeldPredictor):
    """A device takes the time that it takes, and no core of this machine."""

    def segment(self, mammograms: Sequence[Mammogram]) -> list[ImageFindings]:
        """As the threshold predictor, after a second."""
        findings = super().segment(mammograms)
        time.sleep(1.0)
        return findings


class OneDevicePredictor(SlowDevicePredictor):
    """Has one device, as GLAM on a GPU has: of several threads one at a time may use it."""

    waits_for_a_device = True
    _turn = threading.Lock()

    def segment(self, mammograms: Sequence[Mammogram]) -> list[ImageFindings]:
        """As on a slow device, when the others are done."""
        with self._turn:
            return super().segment(mammograms)


class QuietDevicePredictor(SlowDevicePredictor):
    """Finds nothing, as in most women: what is written of it takes no time to speak of."""

    def segment(self, mammograms: Sequence[Mammogram]) -> list[ImageFindings]:
        """As on a slow device, without findings."""
        return [replace(image, findings=()) for image in super().segment(mammograms)]


class LostDevicePredictor(ThresholdPredictor):
    """Its GPU falls off the bus as long as the file that HOLD names is there."""

    def segment(self, mammograms: Sequence[Mammogram]) -> list[ImageFindings]:
        """As the threshold predictor, on another day."""
        if Path(os.environ["HOLD"]).exists():
            raise DeviceUnavailable("CUDA error: the GPU has fallen off the bus.")
        return super().segment(mammograms)


class PoisonedPredictor(ThresholdPredictor):
    """Of two images, by SOP Instance UID, one ends the process as the kernel does when memory is short (POISON), the
    other asks for more memory than there is (HUNGRY)."""

    def segment(self, mammograms: Sequence[Mammogram]) -> list[ImageFindings]:
        """As the threshold predictor, if it comes to that."""
        uids = {mammogram.sop_instance_uid for mammogram in mammograms}
        if os.environ["POISON"] in uids:
            os.kill(os.getpid(), signal.SIGKILL)
        if os.environ["HUNGRY"] in uids:
            np.empty(2**62, np.uint8)
        return super().segment(mammograms)


class DeafPredictor(ThresholdPredictor):
    """Its worker hears nothing, as Celery's sometimes do, as long as HOLD is there; the watchdog is in a hurry."""

    @classmethod
    def from_package(cls, package: ModelPackage, device: str, options: RunOptions = REFERENCE_RUN) -> Self:
        """As the threshold predictor, after the harm is done."""
        Watchdog.__init__.__kwdefaults__.update(patience_s=2.0, check_interval_s=0.2)  # type: ignore[union-attr]
        if Path(os.environ["HOLD"]).exists():
            setattr(Channel, "_brpop_start", lambda *_arguments, **_options: None)  # noqa: B010 - mypy
        return super().from_package(package, device, options)


class FailingPredictor(ThresholdPredictor):
    """Fails as long as the file that HOLD names is there."""

    def segment(self, mammograms: Sequence[Mammogram]) -> list[ImageFindings]:
        """Find as the threshold predictor does, or fail."""
        if Path(os.environ["HOLD"]).exists():
            raise RuntimeError("This predictor fails.")
        return super().segment(mammograms)
