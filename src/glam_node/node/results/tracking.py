"""Findings with the identifiers, scores and colours that they have in every result."""

from collections.abc import Iterator
from dataclasses import dataclass

from glam_node.inference.findings import CHANNELS, AlgorithmIdentification, Finding, FindingKind, ImageFindings
from glam_node.node.results.identity import ResultIdentity, view_name
from glam_node.node.results.scores import ShownScore, image_score, shown_finding_score, shown_score

DISPLAY_RGB = {FindingKind.BENIGN: (64, 200, 96), FindingKind.MALIGNANT: (240, 72, 56)}
"""Display colour of each class: red, green and blue, 8 bits each."""


@dataclass(frozen=True, slots=True)
class TrackedFinding:
    """A finding with its tracking identifiers and its score as shown, which are the same in all results."""

    finding: Finding
    shown: ShownScore
    tracking_id: str
    tracking_uid: str


def tracked_findings(
    image: ImageFindings, algorithm: AlgorithmIdentification, identity: ResultIdentity
) -> Iterator[TrackedFinding]:
    """Yield the findings of an image in order, numbered within their class."""
    counts: dict[str, int] = {}
    for finding in image.findings:
        counts[finding.kind] = counts.get(finding.kind, 0) + 1
        name = f"{finding.kind} {counts[finding.kind]}"
        tracking_uid = identity.derived_uid(f"finding {name}", [image.sop_instance_uid], algorithm)
        shown = shown_finding_score(finding.score, finding.kind, identity.score_scale)
        yield TrackedFinding(finding, shown, f"{view_name(image)} {name}", tracking_uid)


def score_texts(image: ImageFindings, algorithm: AlgorithmIdentification, identity: ResultIdentity) -> str:
    """Return both scores of an analysed image as text for people."""
    scores = ((kind, image_score(image, kind)) for kind in CHANNELS)
    shown = (
        (kind, shown_score(score, kind, algorithm, identity.score_scale)) for kind, score in scores if score is not None
    )
    return ", ".join(f"{kind} {score.text}" for kind, score in shown)
