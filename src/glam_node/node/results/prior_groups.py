"""Measurement groups of prior exams in a report (PS3.16 TID 1501, with the time point of TID 1502)."""

from collections.abc import Iterator, Mapping

from highdicom import sr
from pydicom.sr.coding import Code

from glam_node.inference.findings import FindingKind, Findings
from glam_node.inference.mammogram import Laterality
from glam_node.node.domain.prior_comparison import PriorExam, PriorImage
from glam_node.node.domain.words import date
from glam_node.node.results import codes
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.measurement_groups import Group, with_comments
from glam_node.node.results.prior_exams import (
    CONTEXT,
    TOLERANCE_STATEMENT,
    Priors,
    ShownPrior,
    comparison_text,
    scores_of_study,
    shown_priors,
)
from glam_node.node.results.scores import breast_scores

_SIDES = {Laterality.RIGHT: "right breast", Laterality.LEFT: "left breast"}


def prior_groups(priors: Priors, findings: Findings, identity: ResultIdentity) -> Iterator[Group]:
    """Yield a group for each prior exam and for each of its breasts: scores at that time, and their change since then.

    Args:
        priors: The prior exams, the newest first.
        findings: The findings of the exam.
        identity: The device that writes the report.
    """
    for exam in priors:
        yield with_comments(
            _group(exam, "study", exam.study_scores, scores_of_study(findings), findings, identity),
            [CONTEXT, comparison_text(exam), *([TOLERANCE_STATEMENT] if exam.correspondences else [])],
        )
        for side, name in _SIDES.items():
            then = exam.breast_scores.get(str(side))
            if then:
                now = {kind: breast_scores(findings.images, kind).get(side) for kind in FindingKind}
                yield _group(exam, name, then, now, findings, identity, side)


def _group(
    exam: PriorExam,
    part: str,
    then: Mapping[str, float],
    now: Mapping[FindingKind, float | None],
    findings: Findings,
    identity: ResultIdentity,
    side: Laterality | None = None,
) -> Group:
    name = f"Prior exam {date(exam.study_date)}, {part}"
    uid = identity.derived_uid(f"group {name}", [one.sop_instance_uid for one in exam.images], findings.algorithm)
    shown = list(shown_priors(exam, then, now, findings, identity))
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid, name),
        time_point_context=sr.TimePointContext(time_point=date(exam.study_date)),
        finding_sites=[sr.FindingSite(codes.BREAST, codes.LATERALITY[side] if side else codes.BOTH_SIDES)],
        measurements=list(_measurements(shown, codes.MEAN if side else codes.MAXIMUM)),
        source_images=[_reference(one) for one in exam.images if side is None or one.view.startswith(str(side))],
    )


def _measurements(shown: list[ShownPrior], derivation: Code) -> Iterator[sr.Measurement]:
    for one in shown:
        yield sr.Measurement(
            name=codes.PRIOR_SCORE[one.kind], value=one.then.value, unit=one.then.unit, derivation=derivation
        )
    for one in shown:
        if one.change is not None:
            yield sr.Measurement(name=codes.CHANGE_OF_SCORE[one.kind], value=round(one.change, 3), unit=one.then.unit)


def _reference(image: PriorImage) -> sr.SourceImageForMeasurementGroup:
    return sr.SourceImageForMeasurementGroup(image.sop_class_uid, image.sop_instance_uid)
