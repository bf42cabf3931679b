"""Impressions and findings of a Mammography CAD SR (PS3.16 TID 4001, 4003, 4004 and 4006)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from glam_node.inference.findings import AlgorithmIdentification, FindingKind, Findings, ImageFindings
from glam_node.node.results import codes
from glam_node.node.results import mammography_cad_sr_items as items
from glam_node.node.results.identity import ResultIdentity, view_name
from glam_node.node.results.mammography_cad_sr_pairs import (
    LARGEST_DIFFERENCE_MM,
    FindingPair,
    PlacedFinding,
    center,
)
from glam_node.node.results.outline import outline
from glam_node.node.results.scores import image_score, operating_point, reaches

_NOT_CALIBRATED = "Scores are not calibrated and are no probabilities of cancer."


@dataclass(frozen=True, slots=True)
class Impressions:
    """Writer of the part of the content tree that states the findings."""

    findings: Findings
    placed: list[PlacedFinding]
    pairs: list[FindingPair]
    library_items: Mapping[str, list[int]]
    """SOP Instance UID -> Referenced Content Item Identifier of the image's library entry."""
    identity: ResultIdentity

    def overall(self) -> Dataset:
        """Return the overall impression: the outcome as a code and in words, and each finding once (TID 4001)."""
        algorithm = self.findings.algorithm
        summary = sr.CodeContentItem(
            codes.PROCESSING_AND_FINDINGS_SUMMARY,
            codes.processing_and_findings_summary(self.findings.images),
            items.CONTAINS,
        )
        sentences = map(_sentence, self.findings.images)
        description = " ".join([self.identity.statement(algorithm), _NOT_CALIBRATED, *sentences])
        return items.with_children(
            summary,
            [
                sr.TextContentItem(codes.IMPRESSION_DESCRIPTION, description, items.HAS_PROPERTIES),
                *algorithm_items(algorithm),
                *self._individual(),
            ],
        )

    def _individual(self) -> Iterator[Dataset]:
        """Yield an impression for each pair and each finding without a pair, in the order of `placed` (TID 4003)."""
        pairs = {id(one): pair for pair in self.pairs for one in (pair.craniocaudal, pair.oblique)}
        written: set[int] = set()
        for one in self.placed:
            pair = pairs.get(id(one))
            if pair is None:
                yield _impression([one], self._finding(one, items.CONTAINS), self.findings.algorithm)
            elif id(pair) not in written:
                written.add(id(pair))
                yield _impression([pair.craniocaudal, pair.oblique], self._composite(pair), self.findings.algorithm)

    def _composite(self, pair: FindingPair) -> Dataset:
        """Return the composite feature of a pair of findings (TID 4004)."""
        members = [pair.craniocaudal, pair.oblique]
        names = [one.tracked.tracking_id for one in members]
        uid = self.identity.derived_uid(
            f"composite {' '.join(names)}", [one.image.sop_instance_uid for one in members], self.findings.algorithm
        )
        feature = sr.CodeContentItem(codes.COMPOSITE_FEATURE, codes.MAMMOGRAPHY_BREAST_DENSITY, items.CONTAINS)
        return items.with_children(
            feature,
            [
                _intent(members, self.findings.algorithm),
                *items.tracking(" and ".join(names), uid),
                sr.CodeContentItem(codes.COMPOSITE_TYPE, codes.SPATIALLY_RELATED, items.HAS_PROPERTIES),
                sr.CodeContentItem(codes.SCOPE_OF_FEATURE, codes.ON_MULTIPLE_IMAGES, items.HAS_PROPERTIES),
                *comparison_items(self.identity),
                *(self._finding(one, items.INFERRED_FROM) for one in members),
            ],
        )

    def _finding(self, one: PlacedFinding, relationship_type: sr.RelationshipTypeValues) -> Dataset:
        """Return a finding with its score, centre and outline (TID 4006)."""
        finding, algorithm = one.tracked.finding, self.findings.algorithm
        image = self.library_items[one.image.sop_instance_uid]
        item = sr.CodeContentItem(codes.SINGLE_IMAGE_FINDING, codes.MAMMOGRAPHY_BREAST_DENSITY, relationship_type)
        certainty = sr.NumContentItem(
            codes.CERTAINTY_OF_FINDING, round(100 * finding.score, 3), codes.PERCENT, None, items.HAS_PROPERTIES
        )
        return items.with_children(
            item,
            [
                _intent([one], algorithm),
                *items.tracking(one.tracked.tracking_id, one.tracked.tracking_uid),
                *items.algorithm(
                    algorithm.algorithm_name,
                    algorithm.algorithm_version,
                    [_weights(algorithm), f"class = {finding.kind}", _NOT_CALIBRATED],
                ),
                certainty,
                items.coordinates(codes.CENTER, sr.GraphicTypeValues.POINT, center(finding)[None], image),
                items.coordinates(codes.OUTLINE, sr.GraphicTypeValues.POLYLINE, outline(finding), image),
            ],
        )


def algorithm_items(algorithm: AlgorithmIdentification) -> Iterator[Dataset]:
    """Yield the model's name, version and weights, and all parameters that decide which regions are findings."""
    parameters = [f"{name} = {value}" for name, value in algorithm.parameters]
    return items.algorithm(algorithm.algorithm_name, algorithm.algorithm_version, [_weights(algorithm), *parameters])


def comparison_items(identity: ResultIdentity) -> Iterator[Dataset]:
    """Yield the name, version and parameter of the comparison of two views, which is not part of the model."""
    name = f"{identity.manufacturer_model_name} comparison of views"
    parameter = f"largest difference of the distances from the chest wall = {LARGEST_DIFFERENCE_MM:g} mm"
    return items.algorithm(name, identity.software_version, [parameter])


def _impression(members: list[PlacedFinding], content: Dataset, algorithm: AlgorithmIdentification) -> Dataset:
    return items.container(codes.INDIVIDUAL_IMPRESSION, items.INFERRED_FROM, [_intent(members, algorithm), content])


def _intent(members: list[PlacedFinding], algorithm: AlgorithmIdentification) -> Dataset:
    required = any(_reaches_operating_point(one, algorithm) for one in members)
    intent: Code = codes.PRESENTATION_REQUIRED if required else codes.PRESENTATION_OPTIONAL
    return sr.CodeContentItem(codes.RENDERING_INTENT, intent, items.HAS_CONCEPT_MOD)


def _reaches_operating_point(one: PlacedFinding, algorithm: AlgorithmIdentification) -> bool:
    """Return whether the score of a finding's image reaches the operating point of its class.

    Return False if the operating point is 0, since every score reaches it, and True if it or the score is unknown.
    """
    kind: FindingKind = one.tracked.finding.kind
    point, score = operating_point(algorithm, kind), image_score(one.image, kind)
    return point is None or score is None or reaches(score, point)


def _weights(algorithm: AlgorithmIdentification) -> str:
    return f"weights SHA-256 = {algorithm.weights_sha256}"


def _sentence(image: ImageFindings) -> str:
    """Return the scores and findings of an image in words, or the reason why it was not analysed."""
    if image.failure is not None:
        said = f"could not be analysed: {image.failure}"
    else:
        scores = [f"{kind} {100 * (image_score(image, kind) or 0.0):.1f} %" for kind in FindingKind]
        count = len(image.findings)
        found = "no findings" if not count else "1 finding" if count == 1 else f"{count} findings"
        said = f"{found}; scores: {', '.join(scores)}."
    return " ".join([f"{view_name(image)}: {said}", *image.remarks])
