"""Predictors that put a worker to the test."""

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
    """A predictor that waits as long as the file that HOLD names exists."""

    def segment(self, mammograms: Sequence[Mammogram]) -> list[ImageFindings]:
        """Segment as the threshold predictor does, after the wait."""
        while Path(os.environ["HOLD"]).exists():
            time.sleep(0.02)
        return super().segment(mammograms)


class SlowDevicePredictor(HeldPredictor):
    """A predictor with a slow device that uses no core of this machine."""

    def segment(self, mammograms: Sequence[Mammogram]) -> list[ImageFindings]:
        """Segment as the threshold predictor does, after a second."""
        findings = super().segment(mammograms)
        time.sleep(1.0)
        return findings


class OneDevicePredictor(SlowDevicePredictor):
    """A predictor with one device, as GLAM on a GPU: one thread at a time may use it."""

    waits_for_a_device = True
    _turn = threading.Lock()

    def segment(self, mammograms: Sequence[Mammogram]) -> list[ImageFindings]:
        """Segment as on a slow device, when the other threads are done."""
        with self._turn:
            return super().segment(mammograms)


class QuietDevicePredictor(SlowDevicePredictor):
    """A predictor that finds nothing, so that writing its results takes almost no time."""

    def segment(self, mammograms: Sequence[Mammogram]) -> list[ImageFindings]:
        """Segment as on a slow device, without findings."""
        return [replace(image, findings=()) for image in super().segment(mammograms)]


class LostDevicePredictor(ThresholdPredictor):
    """A predictor whose GPU is lost as long as the file that HOLD names exists."""

    def segment(self, mammograms: Sequence[Mammogram]) -> list[ImageFindings]:
        """Segment as the threshold predictor does, or lose the device."""
        if Path(os.environ["HOLD"]).exists():
            raise DeviceUnavailable("CUDA error: the GPU has fallen off the bus.")
        return super().segment(mammograms)


class PoisonedPredictor(ThresholdPredictor):
    """A predictor that fails on two images, named by SOP Instance UID.

    POISON ends the process as the kernel does when memory is short; HUNGRY asks for more memory than there is.
    """

    def segment(self, mammograms: Sequence[Mammogram]) -> list[ImageFindings]:
        """Segment as the threshold predictor does, unless an image ends the process."""
        uids = {mammogram.sop_instance_uid for mammogram in mammograms}
        if os.environ["POISON"] in uids:
            os.kill(os.getpid(), signal.SIGKILL)
        if os.environ["HUNGRY"] in uids:
            np.empty(2**62, np.uint8)
        return super().segment(mammograms)


class DeafPredictor(ThresholdPredictor):
    """A predictor whose worker receives nothing as long as HOLD exists; its watchdog waits only two seconds."""

    @classmethod
    def from_package(cls, package: ModelPackage, device: str, options: RunOptions = REFERENCE_RUN) -> Self:
        """Load the threshold predictor, and make its worker deaf."""
        Watchdog.__init__.__kwdefaults__.update(patience_s=2.0, check_interval_s=0.2)  # type: ignore[union-attr]
        if Path(os.environ["HOLD"]).exists():
            setattr(Channel, "_brpop_start", lambda *_arguments, **_options: None)  # noqa: B010 - mypy
        return super().from_package(package, device, options)


class FailingPredictor(ThresholdPredictor):
    """A predictor that fails as long as the file that HOLD names exists."""

    def segment(self, mammograms: Sequence[Mammogram]) -> list[ImageFindings]:
        """Segment as the threshold predictor does, or fail."""
        if Path(os.environ["HOLD"]).exists():
            raise RuntimeError("This predictor fails.")
        return super().segment(mammograms)
