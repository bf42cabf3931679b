"""Headers of the source images from which results are created."""

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

from pydicom.dataset import Dataset

from glam_node.inference.bounded_dataset import read_bounded
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.errors import PermanentError
from glam_node.node.results.element_values import text_value
from glam_node.node.results.sources import stand_in
from glam_node.node.results.time_zone import state_zone


def read_sources(instances: Iterable[SOPInstance], resolve: Callable[[str], Path]) -> dict[str, Dataset]:
    """Return the headers of the source images, without pixels, by SOP Instance UID.

    An image that can no longer be read gets a header with its UIDs, and with patient and study of the other images.

    Raises:
        PermanentError: No image can be read.
        OSError: The disk failed.
    """
    sources: dict[str, Dataset] = {}
    unreadable: list[SOPInstance] = []
    for instance in instances:
        try:
            sources[instance.sop_instance_uid] = read_source(resolve(instance.path), instance.sop_instance_uid)
        except PermanentError:
            unreadable.append(instance)
    if unreadable and not sources:
        raise _unreadable(unreadable[0].sop_instance_uid, "as all images of the study")
    state_zone(sources.values())
    for instance in unreadable:
        sources[instance.sop_instance_uid] = stand_in(
            next(iter(sources.values())),
            SOPClassUID=instance.sop_class_uid,
            SOPInstanceUID=instance.sop_instance_uid,
            SeriesInstanceUID=instance.series_instance_uid,
            StudyInstanceUID=instance.study_instance_uid,
        )
    return sources


def read_source(path: Path, sop_instance_uid: str) -> Dataset:
    """Return the header of a source image, without pixels.

    Raises:
        PermanentError: The file cannot be read, is cut short in its header, or contains another image.
        OSError: The disk failed.
    """
    # Warnings and errors of pydicom contain the offending value, which may be a patient's name.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = read_bounded(path, pixels=False)
        except OSError:
            raise
        except Exception as error:
            raise _unreadable(sop_instance_uid, type(error).__name__) from error
    if text_value(dataset, "SOPInstanceUID") != sop_instance_uid or not text_value(dataset, "SeriesInstanceUID"):
        raise _unreadable(sop_instance_uid, "cut short")
    return dataset


def _unreadable(sop_instance_uid: str, cause: str) -> PermanentError:
    return PermanentError(f"Image {sop_instance_uid} can no longer be read ({cause}). Send it again.")
