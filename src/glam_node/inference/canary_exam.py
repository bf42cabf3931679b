"""The exam of a canary: a phantom of the size of real images, with the places of its lesions.

`python -m glam_node.inference.canary_exam FOLDER` writes it, so that a process of the node needs neither the time nor
the memory.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glam_node import __version__
from glam_node.inference.findings import FindingKind
from glam_node.inference.phantom import PhantomView, make_exam

SEED = 1
LESIONS_FILE = "lesions.json"
NICENESS = 10


def write_exam(folder: Path) -> None:
    """Write four views to `folder`, and at last the file with the places of their lesions."""
    folder.mkdir(parents=True, exist_ok=True)
    lesions: dict[str, list[int]] = {}
    for view in make_exam(SEED):
        laterality, position = view.dataset.ImageLaterality, view.dataset.ViewPosition
        view.dataset.save_as(folder / f"{laterality}-{position}.dcm", enforce_file_format=True)
        name = f"{laterality} {position}"
        lesions |= {f"{name} {kind}": _box(mask) for kind, mask in _masks(view).items() if mask.any()}
    made = folder / f"{LESIONS_FILE}.part"
    made.write_text(json.dumps({"version": __version__, "lesions": lesions}), encoding="utf-8")
    made.replace(folder / LESIONS_FILE)


def places_of_lesions(folder: Path) -> dict[str, tuple[int, int, int, int]] | None:
    """Return first row, first column, last row and last column (exclusive) of each lesion, such as "L CC malignant".

    None if the folder has no exam of this version.
    """
    try:
        stated = json.loads((folder / LESIONS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if stated.get("version") != __version__:
        return None
    return {name: (box[0], box[1], box[2], box[3]) for name, box in stated["lesions"].items()}


def _masks(view: PhantomView) -> dict[FindingKind, NDArray[np.bool_]]:
    return {FindingKind.BENIGN: view.benign_mask, FindingKind.MALIGNANT: view.malignant_mask}


def _box(mask: NDArray[np.bool_]) -> list[int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return [int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1]


if __name__ == "__main__":
    os.nice(NICENESS)
    write_exam(Path(sys.argv[1]))
