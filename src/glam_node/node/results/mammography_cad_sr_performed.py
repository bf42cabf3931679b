"""Summaries of the detections and analyses of a Mammography CAD SR and of their images (PS3.16 TID 4015 to 4018)."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from glam_node.inference.findings import Findings, ImageFindings
from glam_node.node.results import codes
from glam_node.node.results import mammography_cad_sr_items as items
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.mammography_cad_sr_findings import algorithm_items, comparison_items


def summary_of_detections(findings: Findings, image_places: Mapping[str, list[int]]) -> Dataset:
    """Return the images that were searched for lesions, and those for which the search failed (TID 4015)."""
    failed = [image for image in findings.images if image.failure is not None]
    succeeded = [image for image in findings.images if image.failure is None]
    status = codes.FAILED if not succeeded else codes.PARTIALLY_SUCCEEDED if failed else codes.SUCCEEDED
    algorithm = list(algorithm_items(findings.algorithm))
    performed = _Performed(codes.DETECTION_PERFORMED, codes.MAMMOGRAPHY_BREAST_DENSITY, algorithm, image_places)
    outcomes = {codes.SUCCESSFUL_DETECTIONS: succeeded, codes.FAILED_DETECTIONS: failed}
    return performed.summary(codes.SUMMARY_OF_DETECTIONS, status, outcomes)


def summary_of_analyses(
    images: Sequence[ImageFindings],
    compared: Sequence[ImageFindings],
    image_places: Mapping[str, list[int]],
    identity: ResultIdentity,
) -> Dataset:
    """Return the images of breasts whose two views were compared (TID 4016).

    The status is Not Attempted if no views were compared. Otherwise the comparison failed for breasts of which a view
    could not be analysed.
    """
    done = {image.sop_instance_uid for image in compared}
    lacking = {image.image_laterality for image in images if image.failure is not None}
    failed = [image for image in images if image.image_laterality in lacking and image.sop_instance_uid not in done]
    status = codes.NOT_ATTEMPTED if not compared else codes.PARTIALLY_SUCCEEDED if failed else codes.SUCCEEDED
    comparison = list(comparison_items(identity))
    performed = _Performed(codes.ANALYSIS_PERFORMED, codes.SPATIAL_COLLOCATION_ANALYSIS, comparison, image_places)
    outcomes = {codes.SUCCESSFUL_ANALYSES: compared, codes.FAILED_ANALYSES: failed} if compared else {}
    return performed.summary(codes.SUMMARY_OF_ANALYSES, status, outcomes)


@dataclass(frozen=True, slots=True)
class _Performed:
    """A detection or analysis that was performed, and its algorithm (TID 4017 and TID 4018)."""

    name: Code
    value: Code
    algorithm: list[Dataset]
    image_places: Mapping[str, list[int]]

    def summary(self, name: Code, status: Code, outcomes: Mapping[Code, Sequence[ImageFindings]]) -> Dataset:
        """Return the status, and below it the images of each outcome that at least one image had."""
        summary = sr.CodeContentItem(name, status, items.CONTAINS)
        performed = [
            items.container(outcome, items.INFERRED_FROM, [self._on(images)])
            for outcome, images in outcomes.items()
            if images
        ]
        return items.with_children(summary, performed) if performed else summary

    def _on(self, images: Sequence[ImageFindings]) -> Dataset:
        references = [
            items.by_reference(items.HAS_PROPERTIES, self.image_places[image.sop_instance_uid]) for image in images
        ]
        done = sr.CodeContentItem(self.name, self.value, items.CONTAINS)
        return items.with_children(done, [*map(deepcopy, self.algorithm), *references])
