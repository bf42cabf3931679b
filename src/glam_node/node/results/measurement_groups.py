"""Measurement groups of a report: study, breasts, images and findings (PS3.16 TID 1501 and TID 1410)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from highdicom import sr
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from glam_node.inference.findings import AlgorithmIdentification, FindingKind, Findings, ImageFindings
from glam_node.inference.mammogram import Laterality
from glam_node.node.results import codes
from glam_node.node.results.identity import ResultIdentity, view_name
from glam_node.node.results.outline import long_axis_mm, outline
from glam_node.node.results.scores import (
    BREAST_SCORE_MEANING,
    STUDY_SCORE_MEANING,
    ShownScore,
    breast_scores,
    calibration_statements,
    image_score,
    shown_score,
    study_score,
)
from glam_node.node.results.tracking import TrackedFinding, tracked_findings

_SIDE = {Laterality.RIGHT: "Right breast", Laterality.LEFT: "Left breast"}

Group = sr.MeasurementsAndQualitativeEvaluations | sr.PlanarROIMeasurementsAndQualitativeEvaluations


def measurement_groups(
    findings: Findings,
    headers: Mapping[str, Dataset],
    segmentations: Iterable[Dataset],
    identity: ResultIdentity,
    places: Mapping[tuple[str, int], Sequence[str]],
) -> Iterator[Group]:
    """Yield all groups of a report, from the study to the findings.

    The group of a finding contains the outline and, if one of `segmentations` contains the finding, a reference to the
    segment of the finding.

    Args:
        findings: The findings of the study.
        headers: Source header by SOP Instance UID.
        segmentations: The segmentations that the report may refer to.
        identity: The device that writes the report.
        places: Sentences about findings of prior exams at corresponding places, by SOP Instance UID and the place of
            the finding in its image.
    """
    writer = _Writer(
        findings, headers, identity, _referenced_segments(segmentations), _algorithm_id(findings.algorithm)
    )
    yield writer.study()
    for laterality in _SIDE:
        if any(image.image_laterality is laterality for image in findings.images):
            yield writer.breast(laterality)
    for image in findings.images:
        yield writer.image(image)
        for number, tracked in enumerate(tracked_findings(image, findings.algorithm, identity)):
            sentences = places.get((image.sop_instance_uid, number), ())
            yield with_comments(writer.finding(image, tracked), sentences, codes.DESCRIPTION_OF_CHANGE)


@dataclass(frozen=True, slots=True)
class _Writer:
    findings: Findings
    headers: Mapping[str, Dataset]
    identity: ResultIdentity
    segments: Mapping[str, Dataset]
    """Tracking UID -> content item that refers to the finding's segment."""
    algorithm_id: sr.AlgorithmIdentification
    """The items that every measurement states; measurements share them, since a report has dozens."""

    def study(self) -> Group:
        images = self.findings.images
        scores = {kind: study_score(breast_scores(images, kind)) for kind in FindingKind}
        parameters = [f"{name} = {value}" for name, value in self.findings.algorithm.parameters]
        return with_comments(
            sr.MeasurementsAndQualitativeEvaluations(
                tracking_identifier=self._tracking("Study"),
                finding_sites=[sr.FindingSite(codes.BREAST, codes.BOTH_SIDES)],
                algorithm_id=_algorithm_id(self.findings.algorithm, parameters),
                measurements=self._certainties(scores, codes.MAXIMUM),
                qualitative_evaluations=[_summary(images)],
                source_images=self._references(images),
            ),
            [
                self.identity.statement(self.findings.algorithm),
                STUDY_SCORE_MEANING,
                *calibration_statements(self.findings.algorithm),
            ],
        )

    def breast(self, laterality: Laterality) -> Group:
        images = [image for image in self.findings.images if image.image_laterality is laterality]
        scores = {kind: breast_scores(images, kind).get(laterality) for kind in FindingKind}
        return with_comments(
            sr.MeasurementsAndQualitativeEvaluations(
                tracking_identifier=self._tracking(_SIDE[laterality]),
                finding_sites=[_site(laterality)],
                measurements=self._certainties(scores, codes.MEAN),
                qualitative_evaluations=[_summary(images)],
                source_images=self._references(images),
            ),
            [BREAST_SCORE_MEANING],
        )

    def image(self, image: ImageFindings) -> Group:
        return with_comments(
            sr.MeasurementsAndQualitativeEvaluations(
                tracking_identifier=self._tracking(view_name(image), image),
                finding_sites=[_site(image.image_laterality)],
                measurements=self._certainties({kind: image_score(image, kind) for kind in FindingKind}),
                qualitative_evaluations=[
                    sr.QualitativeEvaluation(codes.VIEW, codes.VIEWS[image.view_position]),
                    _summary([image]),
                ],
                source_images=self._references([image]),
            ),
            _comments(image),
        )

    def finding(self, image: ImageFindings, tracked: TrackedFinding) -> Group:
        header = self.headers[image.sop_instance_uid]
        points = outline(tracked.finding)
        region = sr.ImageRegion(
            graphic_type=sr.GraphicTypeValues.POLYLINE,
            graphic_data=points,
            source_image=sr.SourceImageForRegion(header.SOPClassUID, header.SOPInstanceUID),
        )
        group = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=sr.TrackingIdentifier(tracked.tracking_uid, tracked.tracking_id),
            referenced_region=region,
            finding_category=codes.MORPHOLOGICALLY_ABNORMAL_STRUCTURE,
            finding_type=codes.LESION,
            finding_sites=[_site(image.image_laterality)],
            measurements=[self._measurement(tracked.shown), *self._sizes(tracked, points, header)],
            qualitative_evaluations=[sr.QualitativeEvaluation(codes.VIEW, codes.VIEWS[image.view_position])],
        )
        segment = self.segments.get(tracked.tracking_uid)
        if segment is not None:
            group[0].ContentSequence.append(segment)
        return group

    def _sizes(self, tracked: TrackedFinding, points: NDArray[np.float64], header: Dataset) -> Iterator[sr.Measurement]:
        """Yield the area and the long axis of a finding at the detector, or nothing without Imager Pixel Spacing."""
        if "ImagerPixelSpacing" not in header:
            return
        spacing = [float(value) for value in header.ImagerPixelSpacing]
        sizes = [
            (codes.AREA, codes.SQUARE_MILLIMETER, tracked.finding.pixel_count * spacing[0] * spacing[1]),
            (codes.LONG_AXIS, codes.MILLIMETER, long_axis_mm(points, spacing)),
        ]
        for name, unit, value in sizes:
            yield sr.Measurement(name=name, value=round(value, 2), unit=unit, algorithm_id=self.algorithm_id)

    def _certainties(
        self, scores: Mapping[FindingKind, float | None], derivation: Code | None = None
    ) -> list[sr.Measurement]:
        return [
            self._measurement(shown_score(score, kind, self.findings.algorithm, self.identity.score_scale), derivation)
            for kind, score in scores.items()
            if score is not None
        ]

    def _measurement(self, shown: ShownScore, derivation: Code | None = None) -> sr.Measurement:
        return sr.Measurement(
            name=shown.name,
            value=shown.value,
            unit=shown.unit,
            derivation=derivation,
            algorithm_id=self.algorithm_id,
        )

    def _tracking(self, name: str, image: ImageFindings | None = None) -> sr.TrackingIdentifier:
        made_of = [image.sop_instance_uid] if image else self.headers
        uid = self.identity.derived_uid(f"group {name}", made_of, self.findings.algorithm)
        return sr.TrackingIdentifier(uid, name)

    def _references(self, images: Iterable[ImageFindings]) -> list[sr.SourceImageForMeasurementGroup]:
        headers = [self.headers[image.sop_instance_uid] for image in images]
        return [sr.SourceImageForMeasurementGroup(header.SOPClassUID, header.SOPInstanceUID) for header in headers]


def _algorithm_id(algorithm: AlgorithmIdentification, parameters: Sequence[str] = ()) -> sr.AlgorithmIdentification:
    return sr.AlgorithmIdentification(
        name=algorithm.algorithm_name,
        version=algorithm.algorithm_version,
        parameters=[f"weights SHA-256 = {algorithm.weights_sha256}", *parameters],
    )


def _site(laterality: Laterality) -> sr.FindingSite:
    return sr.FindingSite(codes.BREAST, codes.LATERALITY[laterality])


def _summary(images: Sequence[ImageFindings]) -> sr.QualitativeEvaluation:
    """Return the code for the outcome of the analysis of some images."""
    outcome = codes.processing_and_findings_summary(images)
    return sr.QualitativeEvaluation(codes.PROCESSING_AND_FINDINGS_SUMMARY, outcome)


def _comments(image: ImageFindings) -> list[str]:
    if image.failure is not None:
        return [f"This image could not be analysed: {image.failure}", *image.remarks]
    return [*([] if image.findings else ["No findings in this image."]), *image.remarks]


def with_comments(group: Group, comments: Iterable[str], name: Code = codes.COMMENT) -> Group:
    """Return `group` after adding comments, as texts of this name, at its end."""
    for comment in comments:
        group[0].ContentSequence.append(
            sr.TextContentItem(name=name, value=comment, relationship_type=sr.RelationshipTypeValues.CONTAINS)
        )
    return group


def _referenced_segments(segmentations: Iterable[Dataset]) -> dict[str, Dataset]:
    """Return a content item that refers to the segment of each finding, by its tracking UID.

    If several segmentations contain a finding, the first of them is used.
    """
    items: dict[str, Dataset] = {}
    for segmentation in segmentations:
        for segment in segmentation.SegmentSequence:
            if "TrackingUID" in segment:
                items.setdefault(str(segment.TrackingUID), _segment_reference(segmentation, int(segment.SegmentNumber)))
    return items


def _segment_reference(segmentation: Dataset, number: int) -> Dataset:
    return sr.ImageContentItem(
        name=codes.SEGMENTATION,
        referenced_sop_class_uid=segmentation.SOPClassUID,
        referenced_sop_instance_uid=segmentation.SOPInstanceUID,
        referenced_segment_numbers=number,
        relationship_type=sr.RelationshipTypeValues.CONTAINS,
    )
