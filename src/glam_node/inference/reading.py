"""DICOM in, Mammogram out; or the reason, in plain words, why an image is not a screening view that can be read."""

import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian

from glam_node.inference.background import blacken
from glam_node.inference.decoding import stored_values
from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.grey_scale import presented_values
from glam_node.inference.guard_subject import subject_refusals, subject_remarks
from glam_node.inference.mammogram import Laterality, Mammogram, ViewPosition
from glam_node.inference.view import FOR_PRESENTATION, ViewDescription, describe_view

# The other modifiers of PS3.16 CID 4015 make a view of a part of the breast, or of a breast that is turned.
SCREENING_VIEW_MODIFIERS = frozenset(
    {"implant_displaced", "nipple_in_profile", "infra_mammary_fold", "anterior_compression"}
)
_PROJECTION_IMAGE = "TOMO_PROJ"
_MAXIMUM_INFLATED_BYTES = 512 * 2**20
_PREAMBLE_AND_GROUP_LENGTH = 132 + 12


def read_dataset(path: Path) -> Dataset:
    """The data set in a DICOM file (PS3.10), which has elements.

    Raises UnsupportedMammogram for whatever is not such a file, OSError when the disk fails.
    """
    with path.open("rb") as file, _without_warnings():
        try:
            _refuse_inflating_without_end(path, file)
            dataset = pydicom.dcmread(file)
            empty = len(dataset) == 0
        except UnsupportedMammogram:
            raise
        except Exception as error:  # InvalidDicomError, EOFError, RecursionError, struct.error ...: a damaged file
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise UnsupportedMammogram(f"This is not a readable DICOM file ({type(error).__name__}).") from error
    if empty:
        raise UnsupportedMammogram("The DICOM file is damaged: it has no elements.")
    return dataset


def read_mammogram(dataset: Dataset) -> Mammogram:
    """The screening view in `dataset`, decoded and as displayed: bright is dense, background is 0.

    Raises UnsupportedMammogram with the reason when it is none, or says too little or too much about itself.
    """
    with _without_warnings():
        try:
            return _read(dataset)
        except (UnsupportedMammogram, MemoryError):
            raise
        except Exception as error:  # pydicom converts values on access and raises whatever its converters raise
            raise UnsupportedMammogram(f"The image's header is damaged ({type(error).__name__}).") from error


def _read(dataset: Dataset) -> Mammogram:
    view = describe_view(dataset)
    refusal = next(chain(_refusals(view), subject_refusals(dataset)), None)
    if refusal:
        raise UnsupportedMammogram(refusal)
    sop_instance_uid = str(dataset.get("SOPInstanceUID") or "")
    if not sop_instance_uid:
        raise UnsupportedMammogram("The image has no SOP Instance UID.")
    presented = presented_values(dataset, stored_values(dataset))
    if not presented.any():
        raise UnsupportedMammogram("The image is black everywhere.")
    blackened = blacken(presented)
    if not blackened.pixels.any():
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
        remarks=(*subject_remarks(dataset), *blackened.remarks),
    )


def imager_pixel_spacing(dataset: Dataset) -> tuple[float, float] | None:
    """Row and column spacing at the detector (0018,1164), mm; None when it is not two positive numbers."""
    try:
        row, column = (float(value) for value in dataset.ImagerPixelSpacing)
    except (AttributeError, TypeError, ValueError):
        return None
    return (row, column) if row > 0 and column > 0 else None


def _patient_orientation(dataset: Dataset) -> tuple[str, str] | None:
    value = dataset.get("PatientOrientation")
    if not isinstance(value, pydicom.multival.MultiValue) or len(value) != 2 or not all(value):
        return None
    return str(value[0]), str(value[1])


def _refusals(view: ViewDescription) -> Iterator[str]:
    """Every reason not to analyse, the most telling first."""
    yield from _not_a_screening_image(view)
    if view.contradiction:
        yield f"The image contradicts itself: {view.contradiction}."
    if view.image_laterality not in set(Laterality):
        yield "The image does not say which one breast it shows (Image Laterality)."
    if view.view_position not in set(ViewPosition):
        yield f"The view is {view.view_position or 'not given'}; only CC and MLO are analysed."
    other = sorted(set(view.view_modifiers) - SCREENING_VIEW_MODIFIERS)
    if other:
        yield f"The view is modified ({', '.join(other)}); it is not a screening view."


def _not_a_screening_image(view: ViewDescription) -> Iterator[str]:
    if view.modality != "MG":
        yield f"The image is not a mammogram: its modality is {view.modality or 'not given'}."
    if view.number_of_frames != 1:
        yield f"The image has {view.number_of_frames} frames; a screening view has one."
    if view.stereotactic:
        yield "The image belongs to a stereotactic biopsy; it is not a screening view."
    if view.specimen:
        yield "The image shows a tissue specimen, not a breast."
    if view.presentation_intent_type != FOR_PRESENTATION:
        yield f"The image is not for presentation: its intent is {view.presentation_intent_type or 'not given'}."
    if _PROJECTION_IMAGE in view.image_type:
        yield "The image is one projection of a tomosynthesis."


@contextmanager
def _without_warnings() -> Iterator[None]:
    """pydicom warns with the offending value, which may be a patient's name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _refuse_inflating_without_end(path: Path, file: BinaryIO) -> None:
    """A deflated data set of some megabytes may inflate to as many gigabytes; pydicom would inflate it all."""
    meta = read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return
    file.seek(_PREAMBLE_AND_GROUP_LENGTH + int(meta.FileMetaInformationGroupLength))
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflater.decompress(file.read(), _MAXIMUM_INFLATED_BYTES)
    file.seek(0)
    if inflater.unconsumed_tail:
        raise UnsupportedMammogram("The deflated data set is absurdly large when inflated.")
