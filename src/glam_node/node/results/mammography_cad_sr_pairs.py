"""Pairs of findings in the two views of a breast that may be the same lesion.

A lesion has about the same distance from the chest wall in both projections. A pair is a hint for the reader, not a
proof.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from glam_node.inference.findings import Finding, Findings, ImageFindings
from glam_node.inference.mammogram import Laterality, ViewPosition
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.tracking import TrackedFinding, tracked_findings

LARGEST_DIFFERENCE_MM = 25.0
"""Largest difference between the two distances from the edge at the chest wall, measured at the detector.

The value allows for the pectoral muscle, which shifts that edge in the MLO view.
"""


@dataclass(frozen=True, slots=True)
class PlacedFinding:
    """A finding with its tracking identifiers and its image."""

    tracked: TrackedFinding
    image: ImageFindings


@dataclass(frozen=True, slots=True)
class FindingPair:
    """Findings of one class in the CC and the MLO view of a breast that may be the same lesion."""

    craniocaudal: PlacedFinding
    oblique: PlacedFinding


def placed_findings(findings: Findings, identity: ResultIdentity) -> list[PlacedFinding]:
    """Return all findings of a study, view by view."""
    return [
        PlacedFinding(tracked, image)
        for image in findings.images
        for tracked in tracked_findings(image, findings.algorithm, identity)
    ]


def compared_images(images: Iterable[ImageFindings], headers: Mapping[str, Dataset]) -> list[ImageFindings]:
    """Return the images of those breasts whose two views can be compared.

    Both views must have been analysed, and the side of the chest wall and the pixel spacing must be known.

    Args:
        images: All images of the study.
        headers: Source header by SOP Instance UID.
    """
    usable = [
        image for image in images if image.failure is None and _chest_wall(headers[image.sop_instance_uid]) is not None
    ]
    views = {side: {image.view_position for image in usable if image.image_laterality is side} for side in Laterality}
    return [image for image in usable if views[image.image_laterality] == set(ViewPosition)]


def paired_findings(
    placed: Iterable[PlacedFinding], compared: Iterable[ImageFindings], headers: Mapping[str, Dataset]
) -> list[FindingPair]:
    """Return pairs of findings of one breast and class that have about the same distance from the chest wall.

    The closest pairs are formed first, and each finding is in at most one pair.

    Args:
        placed: All findings of the study.
        compared: The images from `compared_images`.
        headers: Source header by SOP Instance UID.
    """
    uids = {image.sop_instance_uid for image in compared}
    of_view: dict[ViewPosition, list[PlacedFinding]] = {view: [] for view in ViewPosition}
    for one in placed:
        if one.image.sop_instance_uid in uids:
            of_view[one.image.view_position].append(one)
    distances = {id(one): _distance_mm(one, headers) for view in of_view.values() for one in view}
    candidates = [
        (abs(distances[id(first)] - distances[id(second)]), FindingPair(first, second))
        for first, second in product(of_view[ViewPosition.CC], of_view[ViewPosition.MLO])
        if _comparable(first, second)
    ]
    near = sorted((one for one in candidates if one[0] <= LARGEST_DIFFERENCE_MM), key=lambda one: one[0])
    taken: set[int] = set()
    pairs = []
    for _, pair in near:
        names = {id(pair.craniocaudal), id(pair.oblique)}
        if not names & taken:
            taken |= names
            pairs.append(pair)
    return pairs


def center(finding: Finding) -> NDArray[np.float64]:
    """Return the centre of the pixel of a finding that is nearest to the finding's centroid.

    Returns:
        Float array of shape (2,), column before row, in the image coordinates of PS3.3 C.18.6.1.2: the centre of the
        first pixel is (0.5, 0.5).
    """
    places = np.argwhere(finding.mask)
    nearest = places[np.argmin(((places - places.mean(axis=0)) ** 2).sum(axis=1))]
    row, column = nearest + finding.origin
    return np.array([column + 0.5, row + 0.5])


def _comparable(first: PlacedFinding, second: PlacedFinding) -> bool:
    same_breast = first.image.image_laterality is second.image.image_laterality
    return same_breast and first.tracked.finding.kind is second.tracked.finding.kind


def _chest_wall(header: Dataset) -> str | None:
    """Return the edge at the chest wall, "left" or "right" (PS3.3 C.7.6.1.1.1), or None if distances are unknown.

    Distances are known if the image states Patient Orientation and Imager Pixel Spacing.
    """
    if "ImagerPixelSpacing" not in header:
        return None
    rows_run_to = str(header.get("PatientOrientation", [""])[0])
    return {"A": "left", "P": "right"}.get(rows_run_to[:1])


def _distance_mm(one: PlacedFinding, headers: Mapping[str, Dataset]) -> float:
    header = headers[one.image.sop_instance_uid]
    column = float(center(one.tracked.finding)[0])
    from_edge = column if _chest_wall(header) == "left" else one.image.shape[1] - column
    return from_edge * float(header.ImagerPixelSpacing[1])
