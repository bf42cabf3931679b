"""Predictors that try a worker."""

import os
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from glam_node.inference.errors import DeviceUnavailable
from glam_node.inference.findings import ImageFindings
from glam_node.inference.mammogram import Mammogram
from glam_node.inference.threshold import ThresholdPredictor


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
