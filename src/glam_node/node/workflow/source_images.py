"""Reads the headers of source images that results are made from."""

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from glam_node.node.domain.instance import SOPInstance
from glam_node.node.errors import PermanentError
from glam_node.node.results.sources import stand_in, text_value
from glam_node.node.results.time_zone import state_zone


def read_sources(instances: Iterable[SOPInstance], resolve: Callable[[str], Path]) -> dict[str, Dataset]:
    """Return what the source images say before their pixels, by SOP Instance UID.

    For an image that cannot be read any more there is what is known of it: its UIDs, and the patient and study of the
    others.

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
    """Return what a source image says before its pixels.

    Raises:
        PermanentError: The file cannot be read, is cut short in its header, or has another image.
        OSError: The disk failed.
    """
    # pydicom warns with the offending value, which may be a name, and says it in what it raises.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(path, stop_before_pixels=True)
        except OSError:
            raise
        except Exception as error:
            raise _unreadable(sop_instance_uid, type(error).__name__) from error
    if text_value(dataset, "SOPInstanceUID") != sop_instance_uid or not text_value(dataset, "SeriesInstanceUID"):
        raise _unreadable(sop_instance_uid, "cut short")
    return dataset


def _unreadable(sop_instance_uid: str, cause: str) -> PermanentError:
    return PermanentError(f"Image {sop_instance_uid} cannot be read any more ({cause}). Send it again.")
