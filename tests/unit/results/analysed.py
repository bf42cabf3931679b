"""A phantom exam that the threshold predictor has analysed, and the results written from it."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import numpy as np
import pydicom
from highdicom.seg import SegmentationTypeValues
from pydicom.dataset import Dataset

from glam_node import result_kinds
from glam_node.inference.findings import Finding, FindingKind, Findings, ImageFindings
from glam_node.inference.mammogram import Laterality
from glam_node.inference.phantom import make_exam
from glam_node.inference.reading import read_mammogram
from glam_node.inference.threshold import ThresholdPredictor
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.measurement_report import report_content, write_measurement_report
from glam_node.node.results.not_analysed_report import Notice, write_not_analysed_report
from glam_node.node.results.parametric_map import write_parametric_maps
from glam_node.node.results.segmentation import BINARY, write_segmentations
from glam_node.node.workflow.analyse.result_maker import MadeResult, ResultMaker, ResultSelection

IDENTITY = ResultIdentity().at(datetime(2026, 1, 2, 11, 30, 15, 250_000, tzinfo=UTC), settings_digest="5e77")
BOTH_IN_THE_LEFT_BREAST = ((FindingKind.BENIGN, Laterality.LEFT), (FindingKind.MALIGNANT, Laterality.LEFT))


@dataclass(frozen=True)
class Analysed:
    """Findings and their sources."""

    findings: Findings
    sources: dict[str, Dataset]

    def image(self, view: str) -> ImageFindings:
        """Return the findings of a view, such as "R CC"."""
        return next(
            image for image in self.findings.images if f"{image.image_laterality} {image.view_position}" == view
        )

    def source(self, view: str) -> Dataset:
        """Return the source data set of a view."""
        return self.sources[self.image(view).sop_instance_uid]

    def segmentations(
        self, identity: ResultIdentity = IDENTITY, segmentation_type: SegmentationTypeValues = BINARY
    ) -> list[Dataset]:
        """Return the segmentations as an archive returns them."""
        results = write_segmentations(self.findings, self.sources, identity, segmentation_type)
        return [stored(result) for result in results]

    def parametric_maps(self) -> list[Dataset]:
        """Return the parametric maps as an archive returns them."""
        return [stored(result) for result in write_parametric_maps(self.findings, self.sources, IDENTITY)]

    def report(self, identity: ResultIdentity = IDENTITY) -> Dataset:
        """Return the report as an archive returns it."""
        return self.report_beside(self.segmentations(identity), identity)

    def report_beside(self, segmentations: list[Dataset], identity: ResultIdentity = IDENTITY) -> Dataset:
        """Return the report of a run that wrote these segmentations, as an archive returns it."""
        content = report_content(self.findings, self.sources, segmentations, identity)
        return stored(write_measurement_report(content, self.findings, self.sources, segmentations, identity))

    def notice(self, identity: ResultIdentity = IDENTITY, *, attempted: bool = False) -> Dataset:
        """Return the report that the study was not analysed, as an archive returns it."""
        notice = Notice(attempted, "rule no_standard_view: no image can be analysed: 4 of other views")
        sources = list(self.sources.values())
        return stored(write_not_analysed_report(notice, sources, self.findings.algorithm, identity))

    def every_kind(self, identity: ResultIdentity = IDENTITY) -> list[MadeResult]:
        """Return the results for a destination that wants every kind; fail if one cannot be written."""
        maker = ResultMaker(self.findings, self.sources, identity)
        made = list(maker.make(ResultSelection(frozenset(result_kinds.ANALYSIS_KINDS))))
        assert maker.unwritten == []
        return made

    def with_images(self, *images: ImageFindings) -> "Analysed":
        """Return the same exam with other findings in its images."""
        changed = {image.sop_instance_uid: image for image in images}
        kept = tuple(changed.get(image.sop_instance_uid, image) for image in self.findings.images)
        return replace(self, findings=replace(self.findings, images=kept))

    def only(self, *views: str) -> "Analysed":
        """Return the same exam as if only these views had been analysed."""
        return replace(self, findings=replace(self.findings, images=tuple(self.image(view) for view in views)))

    def with_source_elements(self, **elements: Any) -> "Analysed":
        """Return the same exam with elements of all sources set, or removed if the value is None."""
        for source in self.sources.values():
            for keyword, value in elements.items():
                if value is None:
                    source.pop(keyword, None)
                else:
                    setattr(source, keyword, value)
        return self


def analysed_exam(rows: int = 128, columns: int = 96, **options: Any) -> Analysed:
    """Return four views with a benign-like and a malignant-like lesion in the left breast."""
    options = {"seed": 3, "lesions": BOTH_IN_THE_LEFT_BREAST, **options}
    views = [view.dataset for view in make_exam(rows=rows, columns=columns, **options)]
    predictor = ThresholdPredictor(ThresholdPredictor.built_in_package())
    images = predictor.segment([read_mammogram(view) for view in views])
    findings = Findings(str(views[0].StudyInstanceUID), predictor.algorithm, tuple(images))
    return Analysed(findings, {str(view.SOPInstanceUID): view for view in views})


def failed(image: ImageFindings, reason: str) -> ImageFindings:
    """Return the same image as if it could not be analysed."""
    return replace(image, benign_score=None, malignant_score=None, findings=(), failure=reason, saliency=None)


def finding(
    mask: list[list[int]], kind: FindingKind = FindingKind.MALIGNANT, origin: tuple[int, int] = (0, 0)
) -> Finding:
    """Return a finding with exactly this mask."""
    return Finding(kind=kind, score=0.75, origin=origin, mask=np.array(mask, dtype=np.bool_))


def encoded(result: Dataset) -> bytes:
    """Return the file that is stored and sent."""
    stream = BytesIO()
    pydicom.dcmwrite(stream, result, enforce_file_format=True)
    return stream.getvalue()


def stored(result: Dataset) -> Dataset:
    """Return the object after writing and reading it as a file."""
    return pydicom.dcmread(BytesIO(encoded(result)))
