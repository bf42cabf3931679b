"""Presentation states, pictures, PDFs and selections of an analysed exam, as an archive returns them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from glam_node.node.results.encapsulated_pdf import write_encapsulated_pdf
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.key_object_selection import write_key_object_selection
from glam_node.node.results.presentation_state import write_presentation_states
from glam_node.node.results.secondary_capture import write_secondary_captures
from glam_node.node.results.view_picture import ReducedView, reduced_view
from tests.unit.results.analysed import IDENTITY, Analysed, stored


def presentation_states(exam: Analysed) -> list[Dataset]:
    """Return one presentation state for each view with findings."""
    return [stored(state) for state in write_presentation_states(exam.findings, exam.sources, [], IDENTITY)]


def secondary_captures(
    exam: Analysed,
    secondary_capture: Literal["sheet", "views"] = "sheet",
    read: Callable[[str, int], ReducedView] | None = None,
) -> list[Dataset]:
    """Return the sheet, or one picture for each view."""
    identity: ResultIdentity = replace(IDENTITY, secondary_capture=secondary_capture)
    view = read or (lambda uid, height: reduced_view(exam.sources[uid], height))
    return [stored(one) for one in write_secondary_captures(exam.findings, exam.sources, [], identity, view)]


def encapsulated_pdf(exam: Analysed, identity: ResultIdentity = IDENTITY) -> Dataset:
    """Return the summary of the study as a PDF."""
    return stored(
        write_encapsulated_pdf(
            exam.findings, exam.sources, identity, lambda uid, height: reduced_view(exam.sources[uid], height)
        )
    )


def key_object_selection(exam: Analysed, *others: Dataset) -> Dataset | None:
    """Return the selection of positive views and other results."""
    selection = write_key_object_selection(exam.findings, exam.sources, others, IDENTITY)
    return selection and stored(selection)


def drawn(annotation: Dataset, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the pixels whose centres lie inside the outline; in PIXEL units the first centre is (0.5, 0.5)."""
    (graphic,) = annotation.GraphicObjectSequence
    points = np.array(graphic.GraphicData, dtype=np.float32).reshape(-1, 1, 2)
    inside = np.zeros(shape, dtype=np.bool_)
    for row, column in np.ndindex(shape):
        inside[row, column] = cv2.pointPolygonTest(points, (column + 0.5, row + 0.5), False) > 0
    return inside
