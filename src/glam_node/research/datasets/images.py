"""DICOM images of research collections: finding their files, and reading them with laterality and view from labels."""

import warnings
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from glam_node.inference.background import Blackened
from glam_node.inference.decoding import stored_values
from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.grey_scale import presented_values
from glam_node.inference.header_facts import FOR_PRESENTATION, describe_view
from glam_node.inference.mammogram import Laterality, Mammogram, ViewPosition
from glam_node.inference.reading import read_dataset, read_mammogram
from glam_node.kinds.facts import CONVENTIONAL, FILM, KindPolicy
from glam_node.research.datasets.film import prepare_film
from glam_node.research.datasets.labelled import Masks


def collection_folders(path: Path, collection: str) -> list[Path]:
    """Return the folders that may hold the images: manifest-<number>/<collection>, <collection>, or `path`."""
    candidates = (*sorted(path.glob(f"manifest-*/{collection}")), path / collection)
    return [folder for folder in candidates if folder.is_dir()] or [path]


def dicom_files(folder: Path) -> Iterator[Path]:
    """Yield every file with the suffix .dcm under `folder`, in order."""
    return (file for file in sorted(folder.rglob("*")) if file.suffix.lower() == ".dcm")


# Digitised films are stored as Secondary Capture.
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_MAMMOGRAM = "1.2.840.10008.5.1.4.1.1.1.2"
_FILM_TOO = KindPolicy(accepted=frozenset({CONVENTIONAL, FILM}))
NO_SPELLINGS: Mapping[str, ViewPosition] = {}


def read_header(path: Path) -> Dataset:
    """Read the elements of a DICOM file before its pixels.

    Raises:
        UnsupportedMammogram: The file is not a readable DICOM file.
        OSError: The disk fails.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return pydicom.dcmread(path, stop_before_pixels=True)
        except Exception as error:  # pydicom raises what its parsers raise for a damaged file
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise UnsupportedMammogram(f"This is not a readable DICOM file ({type(error).__name__}).") from error


def image_shape(header: Dataset) -> tuple[int, int]:
    """Return Rows and Columns. Raises UnsupportedMammogram if the header lacks them."""
    rows, columns = header.get("Rows"), header.get("Columns")
    if not (isinstance(rows, int) and isinstance(columns, int) and rows > 0 and columns > 0):
        raise UnsupportedMammogram("The image has no size: Rows or Columns is missing or zero.")
    return rows, columns


def read_view(
    path: Path,
    image_laterality: Laterality,
    view_position: ViewPosition,
    spellings: Mapping[str, ViewPosition] = NO_SPELLINGS,
    *,
    film: bool = False,
) -> Mammogram:
    """Read the image at `path` as the view that its labels state, and fill in what its header lacks.

    Digitised films are Secondary Capture, and anonymised images may lack laterality or intent.

    Args:
        path: The DICOM file.
        image_laterality: Laterality by the labels.
        view_position: View by the labels.
        spellings: Nonstandard view names of a release, with the views that they mean.
        film: Whether the image is digitised film, which is prepared as `film.prepare_film` describes.

    Raises:
        UnsupportedMammogram: The header contradicts the labels, or the image cannot be read.
    """
    dataset = read_dataset(path)
    said = describe_view(dataset)
    said_position = spellings.get(said.view_position, said.view_position)
    for element, header_says, labels_say in (
        ("laterality", said.image_laterality, image_laterality.value),
        ("view", said_position, view_position.value),
    ):
        if header_says not in ("", labels_say):
            raise UnsupportedMammogram(f"The image states another {element} than its labels, which state {labels_say}.")
    if said_position != said.view_position:
        dataset.pop("ViewCodeSequence", None)
    if str(dataset.get("SOPClassUID") or "").startswith(_SECONDARY_CAPTURE):
        dataset.SOPClassUID = _MAMMOGRAM
        dataset.pop("ImageType", None)
    if said.modality in ("", "CR", "DX", "OT"):
        dataset.Modality = "MG"
    dataset.ImageLaterality, dataset.ViewPosition = image_laterality.value, view_position.value
    if not said.presentation_intent_type:
        dataset.PresentationIntentType = FOR_PRESENTATION
    if not film:
        return read_mammogram(dataset)
    dataset.pop("PatientOrientation", None)  # the picture decides
    return read_mammogram(dataset, _FILM_TOO, partial(_clean_film, image_laterality))


def _clean_film(image_laterality: Laterality, pixels: NDArray[np.uint16]) -> Blackened:
    prepared = prepare_film(pixels, image_laterality)
    return Blackened(prepared.pixels, prepared.remarks)


def masks_on_film(masks: Masks | None, path: Path, image_laterality: Laterality) -> Masks | None:
    """Return `masks`, drawn on the whole film at `path`, on the part of it that `read_view` keeps, mirrored with it.

    Raises:
        UnsupportedMammogram: The film cannot be read or prepared.
    """
    if masks is None:
        return None
    dataset = read_dataset(path)
    geometry = prepare_film(presented_values(dataset, stored_values(dataset)), image_laterality).geometry
    return {kind: geometry.apply(mask) for kind, mask in masks.items()}
