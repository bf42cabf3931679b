"""A prior exam of an analysed phantom exam, and the results that mention it."""

from dataclasses import replace

from pydicom.dataset import Dataset
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation

from glam_node import result_kinds
from glam_node.node.domain.prior_comparison import Correspondence, PriorExam, PriorImage
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.workflow.analyse.prior_exams import compared_exam
from glam_node.node.workflow.analyse.result_maker import ResultMaker, ResultSelection
from tests.unit.results.analysed import IDENTITY, Analysed, stored


def prior_of(exam: Analysed, *, same_model: bool = True, date: str = "20230405") -> PriorExam:
    """Return a prior exam whose malignant scores were half as large, with the malignant finding of L CC nearby."""
    images = tuple(
        replace(image, malignant_score=(image.malignant_score or 0) / 2, benign_score=image.benign_score)
        for image in exam.findings.images
    )
    algorithm = exam.findings.algorithm
    earlier = replace(
        exam.findings,
        study_instance_uid=f"2.25.{date}",
        images=images,
        algorithm=algorithm if same_model else replace(algorithm, algorithm_version="0", weights_sha256="0" * 64),
    )
    found = compared_exam(exam.findings, earlier, date, [])
    views = ("R CC", "L CC", "R MLO", "L MLO")
    prior_images = tuple(
        PriorImage(
            DigitalMammographyXRayImageStorageForPresentation,
            f"2.25.{date}{number}",
            f"2.25.{date}9{number}",
            view,
            {},
            {},
        )
        for number, view in enumerate(views, 1)
    )
    found = replace(found, images=prior_images)
    if not same_model:
        return found
    image = exam.image("L CC")
    number = next(place for place, one in enumerate(image.findings) if one.kind == "malignant")
    pair = Correspondence(image.sop_instance_uid, number, prior_images[1].sop_instance_uid, 0, "malignant", 0.31, 4.2)
    return replace(found, compared_views=views, correspondences=(pair,))


def results_with(
    exam: Analysed, *priors: PriorExam, kinds: tuple[str, ...], identity: ResultIdentity = IDENTITY
) -> list[Dataset]:
    """Return the results of these kinds, as an archive returns them."""
    maker = ResultMaker(exam.findings, exam.sources, identity, priors)
    made = [stored(one.dataset) for one in maker.make(ResultSelection(frozenset(kinds)))]
    assert maker.unwritten == []
    return made


def report_with(exam: Analysed, *priors: PriorExam, comprehensive: bool = False) -> Dataset:
    """Return the measurement report."""
    kind = result_kinds.COMPREHENSIVE_SR if comprehensive else result_kinds.MEASUREMENT_REPORT
    (report,) = results_with(exam, *priors, kinds=(kind,))
    return report
