"""Small imitations of the contents of data sets: DICOM mammograms, films, masks, tables."""

import csv
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import DataElement, config
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from glam_node.inference.mammogram import Laterality, ViewPosition
from glam_node.inference.phantom import make_view
from glam_node.research.datasets.images import read_header

SHAPE = (64, 48)
PATIENT_NAME, PATIENT_ID = "Mustermann^Erika", "ERIKA-4711"


def write(path: Path, dataset: Dataset) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def mammogram(laterality: str = "L", view_position: str = "CC", *, seed: int = 1, **elements: object) -> Dataset:
    """Return a screening view; elements set to None are removed."""
    dataset = make_view(seed, Laterality(laterality), ViewPosition(view_position), rows=64, columns=48).dataset
    dataset.PatientName, dataset.PatientID = PATIENT_NAME, PATIENT_ID
    for keyword, value in elements.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def add_illegal(dataset: Dataset, keyword: str, vr: str, value: str) -> None:
    """Add a value that the standard does not allow, as it may occur in a file."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    dataset.add(DataElement(tag, vr, value, validation_mode=config.IGNORE))


def anonymised(laterality: str = "L", view_position: str = "CC", *, seed: int = 1) -> Dataset:
    """Return a screening view that does not state laterality or view."""
    gone = ("ImageLaterality", "ViewPosition", "ViewCodeSequence", "PatientOrientation")
    return mammogram(laterality, view_position, seed=seed, **dict.fromkeys(gone))


def secondary_capture(pixels: NDArray[np.uint8 | np.uint16], uid: str = "2.25.1") -> Dataset:
    """Return a digitised film, mask or crop like those of CBIS-DDSM."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(uid)
    dataset.Modality, dataset.ConversionType, dataset.PatientOrientation = "MG", "WSD", "CC"
    add_illegal(dataset, "BodyPartExamined", "CS", "Left Breast")
    dataset.PatientName, dataset.PatientID = PATIENT_NAME, PATIENT_ID
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.itemsize
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, 0
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


def film(shape: tuple[int, int] = SHAPE, uid: str = "2.25.1") -> Dataset:
    """Return the pixels of a bright breast at the left edge, half an ellipse."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    breast = ((rows + 0.5) / shape[0] - 0.5) ** 2 + (columns / shape[1]) ** 2 < 1 / 4
    pixels = np.where(breast, 20000 + 10 * np.arange(breast.size).reshape(shape), 0)
    return secondary_capture(pixels.astype(np.uint16), uid)


def count_headers(module: str, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return a list to which every header is added that the given module reads from now on."""
    read: list[Path] = []

    def counted(path: Path) -> Dataset:
        read.append(path)
        return read_header(path)

    monkeypatch.setattr(f"glam_node.research.datasets.{module}.read_header", counted)
    return read


def square(top: int, left: int, side: int = 4, shape: tuple[int, int] = SHAPE) -> NDArray[np.uint8]:
    """Return a mask that is 255 in the square."""
    mask = np.zeros(shape, dtype=np.uint8)
    mask[top : top + side, left : left + side] = 255
    return mask


def write_png(path: Path, pixels: NDArray[np.uint8 | np.uint16]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded, png = cv2.imencode(".png", pixels)
    assert encoded
    path.write_bytes(png.tobytes())
    return path


def write_csv(path: Path, rows: Sequence[dict[str, str]], delimiter: str = ",") -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return first and last row, first and last column of the True pixels."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])
