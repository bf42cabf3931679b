"""Exams of every kind, and their results as files."""

from pathlib import Path

from pydicom.dataset import Dataset

from glam_node.inference.findings import FindingKind
from glam_node.inference.mammogram import Laterality
from tests.unit.results.analysed import Analysed, analysed_exam, encoded, failed

FOUR_LESIONS = tuple((kind, laterality) for kind in FindingKind for laterality in Laterality)


def exam_of(case: str) -> Analysed:
    """Return an exam with lesions in both breasts, or without, or with views that could not be analysed."""
    if case == "no findings":
        return analysed_exam(lesions=())
    exam = analysed_exam(lesions=FOUR_LESIONS)
    if case == "failed image":
        return exam.with_images(failed(exam.image("R CC"), "The image is black everywhere."))
    if case == "all failed":
        return exam.with_images(*[failed(image, "The image is black everywhere.") for image in exam.findings.images])
    return exam


def written(result: Dataset, directory: Path) -> Path:
    path = directory / f"{result.SOPInstanceUID}.dcm"
    path.write_bytes(encoded(result))
    return path
