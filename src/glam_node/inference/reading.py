"""Reading of DICOM images as mammograms, with the reason in plain words when an image is not a screening view."""

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from glam_node.inference.background import Blackened, blacken
from glam_node.inference.bounded_dataset import read_bounded
from glam_node.inference.decoding import stored_values
from glam_node.inference.elements import text_of
from glam_node.inference.encoded_elements import UnreadableDataSet
from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.grey_scale import presented_values
from glam_node.inference.header_facts import describe_view
from glam_node.inference.mammogram import Laterality, Mammogram, ViewPosition
from glam_node.kinds.facts import CONVENTIONAL_VIEWS, ImageFacts, KindPolicy
from glam_node.kinds.table import kind_left_out, remarks, unreadable


def read_dataset(path: Path) -> Dataset:
    """Return the data set in a DICOM file (PS3.10); it has at least one element.

    Elements that no image needs are left out where they are large: see `glam_node.inference.bounded_dataset`.

    Raises:
        UnsupportedMammogram: The file is not a DICOM file, or it is damaged.
        OSError: The file cannot be read.
    """
    with _without_warnings():
        try:
            dataset = read_bounded(path)
            empty = len(dataset) == 0
        except UnreadableDataSet as error:
            raise UnsupportedMammogram(f"{str(error)[:1].upper()}{str(error)[1:]}.") from error
        except Exception as error:  # damaged files raise InvalidDicomError, EOFError, RecursionError, struct.error ...
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise UnsupportedMammogram(f"This is not a readable DICOM file ({type(error).__name__}).") from error
    if empty:
        raise UnsupportedMammogram("The DICOM file is damaged: it has no elements.")
    return dataset


UNCHECKED_CC = "The image does not state Patient Orientation: whether this CC view is upside down was not checked."
"""The remark on a CC view that may be upside down: its outline does not show that."""
Clean = Callable[[NDArray[np.uint16]], Blackened]
"""A function that makes the background of an image 0."""


def read_mammogram(
    dataset: Dataset, policy: KindPolicy | None = CONVENTIONAL_VIEWS, clean: Clean = blacken
) -> Mammogram:
    """Return the screening view in `dataset`, decoded and as displayed: bright is dense, background is 0.

    Args:
        dataset: An image with its pixels.
        policy: The kinds of image that may be read, by the table that the node uses (`glam_node.kinds`). None reads any
            single-frame image that states one breast and a CC or MLO view, whatever its kind.
        clean: The function that makes the background 0; loaders of digitised film give another one, which may also cut
            the image.

    Raises:
        UnsupportedMammogram: The image is not of a kind that may be read, its header is incomplete or contradicts
            itself, or its pixels cannot be decoded; the message is the reason.
    """
    with _without_warnings():
        try:
            return _read(dataset, policy, clean)
        except (UnsupportedMammogram, MemoryError):
            raise
        except Exception as error:  # pydicom converts values on access and raises whatever its converters raise
            raise UnsupportedMammogram(f"The image's header is damaged ({type(error).__name__}).") from error


def _read(dataset: Dataset, policy: KindPolicy | None, clean: Clean) -> Mammogram:
    view = describe_view(dataset)
    kind = unreadable(view) if policy is None else kind_left_out(view, text_of(dataset, "SOPClassUID"), policy)
    if kind is not None:
        raise UnsupportedMammogram(kind.reason(view))
    sop_instance_uid = str(dataset.get("SOPInstanceUID") or "")
    if not sop_instance_uid:
        raise UnsupportedMammogram("The image has no SOP Instance UID.")
    presented = presented_values(dataset, stored_values(dataset))
    if not cv2.hasNonZero(presented):
        raise UnsupportedMammogram("The image is black everywhere.")
    blackened = clean(presented)
    if not cv2.hasNonZero(blackened.pixels):
        raise UnsupportedMammogram("The image shows nothing that differs from its background.")
    return Mammogram(
        sop_instance_uid=sop_instance_uid,
        image_laterality=Laterality(view.image_laterality),
        view_position=ViewPosition(view.view_position),
        pixels=blackened.pixels,
        imager_pixel_spacing=imager_pixel_spacing(dataset),
        patient_orientation=_patient_orientation(dataset),
        bits_stored=int(dataset.BitsStored),
        manufacturer=str(dataset.get("Manufacturer") or "").strip(),
        remarks=(*_remarks(dataset, view), *blackened.remarks),
    )


def imager_pixel_spacing(dataset: Dataset) -> tuple[float, float] | None:
    """Return row and column spacing at the detector (0018,1164), mm; None when it is not two positive numbers."""
    try:
        row, column = (float(value) for value in dataset.ImagerPixelSpacing)
    except (AttributeError, TypeError, ValueError):
        return None
    return (row, column) if 0 < row < math.inf and 0 < column < math.inf else None


def _patient_orientation(dataset: Dataset) -> tuple[str, str] | None:
    value = dataset.get("PatientOrientation")
    if not isinstance(value, pydicom.multival.MultiValue) or len(value) != 2 or not all(value):
        return None
    return str(value[0]), str(value[1])


def _remarks(dataset: Dataset, view: ImageFacts) -> Iterator[str]:
    """Yield remarks on the image for a reader of its findings (PS3.3 C.7.6.1.1.2, C.8.11.7)."""
    yield from remarks(view)
    if text_of(dataset, "BurnedInAnnotation").upper() == "YES":
        yield "The image has burned-in annotation; where it covers the breast, the model sees it as tissue."
    if view.view_position == ViewPosition.CC and _patient_orientation(dataset) is None:
        yield UNCHECKED_CC


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Suppress warnings, since those of pydicom quote the offending value, which may be a patient's name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
