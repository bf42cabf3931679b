"""Mammography CAD SRs of an analysed exam, as an archive returns them."""

from collections.abc import Sequence
from dataclasses import replace

from pydicom.dataset import Dataset

from glam_node.inference.findings import Finding, FindingKind, ImageFindings
from glam_node.inference.mammogram import Laterality
from glam_node.node.results.mammography_cad_sr import write_mammography_cad_sr
from tests.unit.results.analysed import IDENTITY, Analysed, stored

EVERYWHERE = tuple((kind, laterality) for kind in FindingKind for laterality in Laterality)
_OPPOSITE = {"A": "P", "P": "A"}


def cad_report(exam: Analysed, segmentations: Sequence[Dataset] | None = None) -> Dataset:
    """Return the report, with the exam's own segmentations as evidence unless others are given."""
    evidence = exam.segmentations() if segmentations is None else segmentations
    return stored(write_mammography_cad_sr(exam.findings, exam.sources, evidence, IDENTITY))


def flipped(exam: Analysed) -> Analysed:
    """Return the same exam with every image mirrored, so that the chest wall is at the other edge."""
    for source in exam.sources.values():
        row, column = source.PatientOrientation
        source.PatientOrientation = [_OPPOSITE[row], column]
    return exam.with_images(*map(_mirrored, exam.findings.images))


def _mirrored(image: ImageFindings) -> ImageFindings:
    return replace(image, findings=tuple(_mirror(one, image.shape[1]) for one in image.findings))


def _mirror(finding: Finding, columns: int) -> Finding:
    row, column = finding.origin
    width = finding.mask.shape[1]
    return replace(finding, origin=(row, columns - column - width), mask=finding.mask[:, ::-1])
