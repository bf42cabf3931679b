"""Images of an NYU exam list: 16-bit grey PNG files to which VOI and photometric transformations were applied.

Pixels are used unchanged, since their background is 0. Masks (8-bit PNG) lie in the model's 2944 x 1920 window, whose
breast points right, as the protocol publishes them, or on the grid of the image; their size decides which.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import FindingKind
from glam_node.inference.mammogram import Laterality, Mammogram, ViewPosition
from glam_node.research.datasets.labelled import LabelledView, Masks
from glam_node.research.datasets.listed import Entry, ListedDataset
from glam_node.research.datasets.nyu_exam_list import NyuExam, read_exam_list
from glam_node.research.datasets.outlines import Mask, masks_of, read_png

WINDOW_SHAPE = (2944, 1920)
_UID_NAMESPACE = uuid.UUID("7a4f6b8e-0d59-5a55-8f0e-3f3b7ad4a6f1")
_TOWARDS_FEET = {ViewPosition.CC: "", ViewPosition.MLO: "F"}


def open_nyu(path: Path, *, images: Path | str = "images", masks: Path | str = "segmentation") -> ListedDataset:
    """Open the exam list at `path`; `images` and `masks` are folders relative to the list's folder.

    Exams without known labels are left out. The study id is the number of the exam in the list, from 0, and the image
    id is the stem of the file.
    """
    return ListedDataset("an NYU exam list", partial(_entries, path, path.parent / images, path.parent / masks))


def _entries(path: Path, images: Path, masks: Path) -> Iterator[Entry]:
    for index, exam in enumerate(read_exam_list(path)):
        if exam.labelled:
            yield from _entries_of(exam, str(index), images, masks)


def _entries_of(exam: NyuExam, study_id: str, images: Path, masks: Path) -> Iterator[Entry]:
    for (laterality, view_position), stems in exam.images.items():
        for place, stem in enumerate(stems):
            view = LabelledView(
                stem,
                study_id,
                laterality,
                view_position,
                benign=(laterality, FindingKind.BENIGN) in exam.findings,
                malignant=(laterality, FindingKind.MALIGNANT) in exam.findings,
            )
            read = partial(_read, images / f"{stem}.png", view, exam.horizontal_flip)
            outlines = _outlines(exam, view, place, masks)
            yield Entry(view, read, partial(_masks, read, outlines))


def _outlines(exam: NyuExam, view: LabelledView, place: int, masks: Path) -> Mapping[FindingKind, Sequence[Path]]:
    """Return the mask files of one image; if a view has several images, each has the mask at the same list position."""
    count = len(exam.images[view.image_laterality, view.view_position])
    found = {}
    for kind in FindingKind:
        stems = exam.masks.get((view.image_laterality, view.view_position, kind), ())
        found[kind] = [masks / f"{stem}.png" for stem in (stems if count == 1 else stems[place : place + 1])]
    return found


def _read(path: Path, view: LabelledView, horizontal_flip: bool) -> Mammogram:
    pixels = read_png(path)
    if pixels.dtype != np.uint16 or pixels.shape[2] != 1:
        raise UnsupportedMammogram("The image is not a grey PNG file of 16 bits.")
    if not pixels.any():
        raise UnsupportedMammogram("The image is black everywhere.")
    side = view.image_laterality
    points_right = (side is Laterality.LEFT) != horizontal_flip
    inner_side = Laterality.RIGHT if side is Laterality.LEFT else Laterality.LEFT
    return Mammogram(
        sop_instance_uid=f"2.25.{uuid.uuid5(_UID_NAMESPACE, view.image_id).int}",
        image_laterality=side,
        view_position=view.view_position,
        pixels=np.ascontiguousarray(pixels[..., 0], dtype=np.uint16),
        imager_pixel_spacing=None,
        patient_orientation=("A" if points_right else "P", _TOWARDS_FEET[view.view_position] + inner_side),
    )


def _masks(read: Callable[[], Mammogram], outlines: Mapping[FindingKind, Sequence[Path]]) -> Masks | None:
    if not any(outlines.values()):
        return None
    mammogram = read()
    outlined = [(kind, _mask(path, mammogram)) for kind, paths in outlines.items() for path in paths]
    return masks_of(mammogram.shape, outlined)


def _mask(path: Path, mammogram: Mammogram) -> Mask:
    mask = read_png(path).any(axis=2)
    if mask.shape == WINDOW_SHAPE:
        # Imported here, since data sets are read in processes without torch.
        from glam_node.inference.glam.preprocessing import prepare

        return prepare(mammogram).geometry.invert(mask)
    if mask.shape != mammogram.shape:
        raise UnsupportedMammogram(
            f"The outline is {mask.shape} pixels, neither its image's {mammogram.shape} nor the model's {WINDOW_SHAPE}."
        )
    return mask
