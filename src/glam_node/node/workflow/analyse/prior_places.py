"""Findings of an exam and of a prior exam at corresponding places, from the stored images of both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from glam_node.inference.correspondence import BreastFrame, breast_frame, matches
from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import Findings, ImageFindings
from glam_node.inference.reading import read_dataset, read_mammogram
from glam_node.node.domain.prior_comparison import Correspondence
from glam_node.node.results.identity import VIEW_ORDER

View = tuple[str, str]


@dataclass(slots=True)
class PlaceComparer:
    """Compares places of findings; the breast in each image is measured once, and only if it is needed.

    Args:
        findings: The findings of the exam.
        paths: The file of each image of the exam, by SOP Instance UID.
    """

    findings: Findings
    paths: Mapping[str, Path]
    _frames: dict[str, BreastFrame | None] = field(default_factory=dict)

    def compare(
        self, earlier: Findings, paths: Mapping[str, Path]
    ) -> tuple[tuple[str, ...], tuple[Correspondence, ...]]:
        """Return the views that could be compared with a prior exam, and the pairs of findings at corresponding places.

        A view can be compared if both exams have exactly one analysed image of it, and if the breast in both could be
        measured; without a finding in one of them, there is nothing to measure.
        """
        compared, found = [], []
        for view in VIEW_ORDER:
            now, then = _only_image(self.findings, view), _only_image(earlier, view)
            if now is None or then is None:
                continue
            pairs = self._pairs(now, then, paths) if now.findings and then.findings else []
            if pairs is not None:
                compared.append(f"{view[0]} {view[1]}")
                found += pairs
        return tuple(compared), tuple(found)

    def _pairs(self, now: ImageFindings, then: ImageFindings, paths: Mapping[str, Path]) -> list[Correspondence] | None:
        later, earlier = self._frame(now, self.paths), self._frame(then, paths)
        if later is None or earlier is None:
            return None
        return [
            Correspondence(
                now.sop_instance_uid,
                one.later,
                then.sop_instance_uid,
                one.earlier,
                str(then.findings[one.earlier].kind),
                then.findings[one.earlier].score,
                round(one.distance_mm, 1),
            )
            for one in matches(later, now.findings, earlier, then.findings)
        ]

    def _frame(self, image: ImageFindings, paths: Mapping[str, Path]) -> BreastFrame | None:
        uid = image.sop_instance_uid
        if uid not in self._frames:
            self._frames[uid] = _measured(paths.get(uid))
        return self._frames[uid]


def _measured(path: Path | None) -> BreastFrame | None:
    """Return the measures of the breast in a file; None if the image is gone or cannot be read any more."""
    if path is None:
        return None
    try:
        return breast_frame(read_mammogram(read_dataset(path), None))
    except (UnsupportedMammogram, FileNotFoundError):
        return None


def _only_image(findings: Findings, view: View) -> ImageFindings | None:
    images = [
        one for one in findings.images if (one.image_laterality, one.view_position) == view and one.failure is None
    ]
    return images[0] if len(images) == 1 else None
