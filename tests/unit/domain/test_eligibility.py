"""Tests of the choice of the studies and images that are analysed."""

from typing import Any

import pytest

from glam_node.kinds.facts import KindPolicy
from glam_node.kinds.table import KINDS
from glam_node.node.domain.eligibility import Eligibility, EligibilityPolicy, judge
from glam_node.node.domain.identity import identity_of
from glam_node.node.domain.instance import SOPInstance
from tests.builders import four_views, report, sop_instance, study

ANY_VIEW = EligibilityPolicy(minimum_views=1, accept_implants=True)

# Rule, and the attributes of an image that it leaves out
NOT_ANALYSED: list[tuple[str, dict[str, Any]]] = [
    ("no_mammography", {"modality": "CT"}),
    ("no_mammography", {"modality": ""}),
    ("secondary_capture", {"sop_class_uid": "1.2.840.10008.5.1.4.1.1.7"}),
    ("secondary_capture", {"sop_class_uid": "1.2.840.10008.5.1.4.1.1.7.4"}),
    ("specimen", {"specimen": True}),
    ("stereotactic", {"stereotactic": True}),
    ("tomosynthesis_only", {"sop_class_uid": "1.2.840.10008.5.1.4.1.1.13.1.3"}),
    ("tomosynthesis_only", {"number_of_frames": 60}),
    ("tomosynthesis_only", {"image_type": ("ORIGINAL", "PRIMARY", "TOMO_PROJ")}),
    ("synthesized", {"image_type": ("DERIVED", "PRIMARY", "", "GENERATED_2D")}),
    ("for_processing_only", {"presentation_intent_type": "FOR PROCESSING"}),
    ("presentation_intent_missing", {"presentation_intent_type": ""}),
    ("no_pixels", {"rows": 0}),
    ("no_pixels", {"columns": 0}),
    ("no_standard_view", {"view_position": "ML"}),
    ("no_standard_view", {"view_modifiers": ("rolled_lateral",)}),
    ("magnified", {"view_modifiers": ("magnification",)}),
    ("spot", {"view_modifiers": ("implant_displaced", "spot_compression")}),
    ("laterality_or_view_missing", {"view_position": ""}),
    ("laterality_or_view_missing", {"image_laterality": ""}),
    ("laterality_or_view_missing", {"image_laterality": "B"}),
    ("contradiction", {"contradiction": "Image Laterality says L but Laterality says R"}),
]


def judged(*instances: SOPInstance, policy: EligibilityPolicy = ANY_VIEW) -> Eligibility:
    return judge(study(*instances), policy)


@pytest.mark.parametrize(("rule", "stated"), NOT_ANALYSED)
def test_a_study_of_unsuitable_images_is_not_eligible_and_names_the_rule(rule: str, stated: dict[str, Any]) -> None:
    judgement = judged(sop_instance("R CC", **stated))
    assert (judgement.eligible, judgement.rule, judgement.instances) == (False, rule, ())


@pytest.mark.parametrize(("rule", "stated"), NOT_ANALYSED)
def test_an_unsuitable_image_among_four_views_is_left_out_and_named_in_the_reason(
    rule: str, stated: dict[str, Any]
) -> None:
    judgement = judged(*four_views(), sop_instance("R CC", **stated))
    phrase = next(kind.phrase for kind in KINDS if kind.rule == rule)
    assert judgement.eligible
    assert judgement.reason == f"4 images to analyse: R CC, L CC, R MLO, L MLO; left out: 1 {phrase}"


def test_the_rule_of_a_study_is_that_of_the_image_nearest_to_a_screening_view() -> None:
    judgement = judged(report(), sop_instance(presentation_intent_type="FOR PROCESSING"), sop_instance("R ML"))
    assert judgement.rule == "no_standard_view"
    assert judgement.reason == (
        "no image can be analysed: 1 not of mammography, 1 for processing, 1 of other views (ML, XCCL, rolled ...)"
    )


def test_the_order_of_images_does_not_depend_on_their_arrival() -> None:
    views = four_views()
    assert judged(*views).instances == judged(*reversed(views)).instances == tuple(views)


def test_retakes_are_analysed() -> None:
    assert len(judged(*four_views(), sop_instance("L CC")).instances) == 5


def test_the_reason_mentions_several_images_of_one_view() -> None:
    reason = judged(*four_views(), sop_instance("L CC")).reason
    assert reason.endswith("; several images of L CC (retakes, or an implant that is not declared)")


def test_a_study_with_too_few_views_is_not_eligible() -> None:
    judgement = judged(sop_instance("R CC"), sop_instance("R CC"), policy=EligibilityPolicy(2, accept_implants=True))
    assert (judgement.rule, judgement.reason) == ("too_few_views", "1 of the standard views (R CC), 2 needed")


@pytest.mark.parametrize("stated", [{"breast_implant_present": True}, {"view_modifiers": ("implant_displaced",)}])
def test_images_of_implants_are_left_out_if_the_site_does_not_accept_them(stated: dict[str, Any]) -> None:
    policy = EligibilityPolicy(1, accept_implants=False)
    assert judged(sop_instance("R CC", **stated), policy=policy).rule == "implants"
    assert len(judged(sop_instance("R CC", **stated), sop_instance("L CC"), policy=policy).instances) == 1


def test_a_view_with_the_displaced_implant_replaces_the_view_full_of_implant() -> None:
    displaced = sop_instance("R CC", breast_implant_present=True, view_modifiers=("implant_displaced",))
    full = sop_instance("R CC", breast_implant_present=True)
    only = sop_instance("L CC", breast_implant_present=True)
    assert judged(full, displaced, only).instances == (displaced, only)


def image_of(born: str, view: str, **fields: Any) -> SOPInstance:
    return sop_instance(view, identity=identity_of({"PatientBirthDate": born}, "1.2"), **fields)


def test_a_study_of_two_people_is_left_out_whichever_image_came_first() -> None:
    images = [image_of("19600101", "R CC"), image_of("19600101", "L CC"), image_of("19750505", "R MLO")]
    for order in (images, images[::-1]):
        judgement = judged(*order, policy=EligibilityPolicy(4, accept_implants=True))
        assert (judgement.eligible, judgement.rule) == (False, "two_patients")
        assert judgement.reason == "the 3 images do not belong together: birth date differs"


def test_images_that_are_left_out_do_not_decide_about_the_person() -> None:
    ours = report(patient_mismatch=True), sop_instance("R CC", modality="SEG", patient_mismatch=True)
    other_view = image_of("19750505", "R ML")
    images = [image_of("19600101", view) for view in ("R CC", "L CC", "R MLO", "L MLO")]
    judgement = judged(*ours, other_view, *images)
    assert (judgement.eligible, judgement.instances) == (True, tuple(images))
    assert "states another patient" in judgement.reason


def test_returning_results_under_another_patient_id_are_not_mentioned() -> None:
    ours = report(patient_mismatch=True), sop_instance("R CC", modality="SEG", patient_mismatch=True)
    images = [image_of("19600101", view) for view in ("R CC", "L CC", "R MLO", "L MLO")]
    assert "another patient" not in judged(*ours, *images).reason


def test_the_patient_id_decides_for_images_without_an_identity() -> None:
    judgement = judged(*four_views(), sop_instance(patient_mismatch=True))
    assert (judgement.rule, judgement.reason) == (
        "two_patients",
        "the 5 images do not belong together: 1 of them with another Patient ID than the first",
    )


def partial(view: str) -> SOPInstance:
    return sop_instance(view, partial_view=True)


def test_a_single_partial_view_is_analysed() -> None:
    only = partial("L CC")
    assert only in judged(*four_views()[2:], only).instances


def test_a_partial_view_is_left_out_in_favour_of_a_whole_one() -> None:
    views, part = four_views(), partial("L CC")
    judgement = judged(*views, part)
    assert (judgement.instances, judgement.left_out[part.sop_instance_uid].rule) == (tuple(views), "another_image")


def test_a_mosaic_of_partial_views_is_left_out() -> None:
    mosaic = [partial("L CC") for _ in range(4)]
    judgement = judged(*four_views()[2:], *mosaic)
    assert not set(mosaic) & set(judgement.instances)
    assert {judgement.left_out[tile.sop_instance_uid].rule for tile in mosaic} == {"mosaic"}
    assert judgement.reason.endswith("left out: 4 that each show a part of one view")


def test_a_study_of_mosaics_is_left_out_by_the_rule_mosaic() -> None:
    assert judged(partial("L CC"), partial("L CC")).rule == "mosaic"


SYNTHESIZED = {"image_type": ("DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D")}
BOTH = KindPolicy(accepted=frozenset({"conventional", "synthesized"}))


def test_a_synthesized_view_is_analysed_if_the_package_declares_it() -> None:
    policy = EligibilityPolicy(1, accept_implants=True, kinds=BOTH)
    assert len(judged(*four_views(**SYNTHESIZED), policy=policy).instances) == 4


def test_a_conventional_image_replaces_a_synthesized_one_of_the_same_view() -> None:
    policy = EligibilityPolicy(1, accept_implants=True, kinds=BOTH)
    conventional, synthesized = four_views()[:2], four_views(**SYNTHESIZED)
    judgement = judged(*conventional, *synthesized, policy=policy)
    assert judgement.instances == (*conventional, *synthesized[2:])
    assert judgement.left_out[synthesized[0].sop_instance_uid].rule == "another_image"


def test_a_study_of_synthesized_views_is_left_out_by_the_rule_synthesized() -> None:
    slab = sop_instance("R CC", number_of_frames=60, sop_class_uid="1.2.840.10008.5.1.4.1.1.13.1.3")
    judgement = judged(slab, *four_views(**SYNTHESIZED))
    assert (judgement.eligible, judgement.rule) == (False, "synthesized")


def test_a_demonstration_package_leaves_out_images_of_patients() -> None:
    policy = EligibilityPolicy(1, accept_implants=True, kinds=KindPolicy(phantoms_only=True))
    assert judged(*four_views(), policy=policy).rule == "demonstration_package"
    assert judged(*four_views(drawn=True), policy=policy).eligible


def test_a_view_whose_description_calls_the_implant_displaced_is_preferred() -> None:
    displaced = sop_instance("R CC", described=("implant_displaced",))
    assert judged(sop_instance("R CC"), displaced).instances == (displaced,)


def test_a_study_without_images_is_not_eligible() -> None:
    judgement = judged()
    assert (judgement.eligible, judgement.rule, judgement.left_out) == (False, "no_images", {})
