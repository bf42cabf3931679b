"""Pictures of the views with the outlines of the stored segmentation objects."""

from collections.abc import Iterable, Mapping
from itertools import count
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import Findings
from glam_node.inference.reading import read_dataset
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.overlay import write_overlay

# PS3.4 Table B.5-1
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"


def stored_segmentations(files: Iterable[Path], study_instance_uid: str) -> list[Dataset]:
    """Return the Segmentation objects (PS3.3 A.51) of one study among `files`."""
    found = (pydicom.dcmread(path) for path in files)
    return [one for one in found if one.SOPClassUID == SEGMENTATION and one.StudyInstanceUID == study_instance_uid]


def _free(folder: Path, name: str) -> Path:
    """Return a path in `folder` that does not exist, since retakes and other studies have pictures of the same name."""
    names = (f"{name}{f'-{number}' if number > 1 else ''}.png" for number in count(1))
    return next(folder / one for one in names if not (folder / one).exists())


def draw_pictures(
    findings: Findings,
    sources: Mapping[str, Path],
    segmentations: list[Dataset],
    folder: Path,
    identity: ResultIdentity,
) -> list[Path]:
    """Draw a PNG in `folder` for every view that can be read.

    Args:
        findings: The findings of the study.
        sources: The image files by SOP Instance UID.
        segmentations: The Segmentation objects of the study.
        folder: The folder for the pictures; it is created if needed.
        identity: The identity of this node in results.

    Returns:
        The paths of the pictures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures: list[Path] = []
    for image in findings.images:
        picture = _free(folder, f"{image.image_laterality}-{image.view_position}")
        try:
            source = read_dataset(sources[image.sop_instance_uid])
            write_overlay(picture, source, segmentations, image, findings.algorithm, identity)
        except UnsupportedMammogram:
            continue
        pictures.append(picture)
    return pictures
