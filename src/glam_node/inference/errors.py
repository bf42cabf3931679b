"""What can be wrong with an image, a model package or a device."""


class InferenceError(Exception):
    """Something that stops an analysis; the message says what, and what to do."""


class UnsupportedMammogram(InferenceError):
    """The image cannot be analysed (no view, no breast, undecodable ...); the message is the reason, in plain words."""


class PackageMismatch(InferenceError):
    """A model package or checkpoint is not what it says it is; nothing was loaded."""


class DeviceUnavailable(InferenceError):
    """The device asked for is not there or has no memory left; another worker may succeed."""


class OutOfMemory(DeviceUnavailable):
    """The device has not enough free memory for a single image, which was tried alone."""
