"""Errors about an image, a model package or a device."""


class InferenceError(Exception):
    """An error that stops an analysis; the message says what happened and what to do."""


class UnsupportedMammogram(InferenceError):
    """The image cannot be analysed (no view, no breast, undecodable ...); the message is the reason in plain words."""


class PackageMismatch(InferenceError):
    """A model package or checkpoint is missing, damaged or of another kind than expected; nothing was loaded."""


class DeviceUnavailable(InferenceError):
    """The requested device does not exist or has no free memory; another worker may succeed."""


class OutOfMemory(DeviceUnavailable):
    """The device has too little free memory for an image that was tried alone."""
