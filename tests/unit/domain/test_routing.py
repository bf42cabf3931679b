"""Tests of the routing rules of a site."""

from typing import Any

import pytest

from glam_node.node.domain.eligibility import EligibilityPolicy, judge
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.domain.job import Priority, Routing
from glam_node.node.domain.routing import Action, Decision, SiteRule, decide, image_values
from glam_node.rules.fields import NODE_FIELDS
from glam_node.rules.grammar import parse
from tests.builders import four_views, report, sop_instance, study

POLICY = EligibilityPolicy(minimum_views=1, accept_implants=True)
VIEWS = four_views()


def rule(name: str, when: str, **fields: Any) -> SiteRule:
    return SiteRule(name, parse(when), **fields)


def decided(*site: SiteRule, images: list[SOPInstance] | None = None, **said: str) -> Decision:
    """Return the decision about `images`, by default four views, the first of which has `said` in its header."""
    instances = images or VIEWS
    headers = {instances[0].sop_instance_uid: {name: (value.casefold(),) for name, value in said.items()}}
    return decide(study(*instances), POLICY, site, headers)


def test_a_study_is_analysed_without_rules() -> None:
    decision = decided()
    assert (decision.eligibility.rule, decision.routing, decision.action) == (
        "screening_views",
        Routing(),
        Action.ANALYSE,
    )


CASES: list[tuple[str, dict[str, Any], str, Action]] = [
    ("one image is enough", {}, "rules.a", Action.IGNORE),
    ("not all images", {"for_all": True}, "screening_views", Action.ANALYSE),
    ("in shadow", {"action": Action.SHADOW}, "rules.a", Action.SHADOW),
    ("dry run", {"action": Action.DRY_RUN}, "rules.a", Action.DRY_RUN),
]


@pytest.mark.parametrize(("name", "fields", "by", "action"), CASES, ids=[case[0] for case in CASES])
def test_a_matching_rule_decides(name: str, fields: dict[str, Any], by: str, action: Action) -> None:
    fields = {"action": Action.IGNORE, **fields}
    decision = decided(rule("a", 'Manufacturer == "X"', **fields), Manufacturer="X")
    assert (decision.eligibility.rule, decision.action) == (by, action)
    assert decision.eligibility.eligible is (action in (Action.ANALYSE, Action.SHADOW))


def test_the_first_matching_rule_decides() -> None:
    first = rule("first", "KVP is present", action=Action.IGNORE)
    second = rule("second", "images == 4", action=Action.SHADOW)
    assert decided(first, second).eligibility.rule == "rules.second"
    assert decided(second, first, KVP="28").eligibility.rule == "rules.second"


def test_the_reason_names_the_condition_the_images_and_the_destinations() -> None:
    decision = decided(rule("a", 'calling_ae_title == "modality"', destinations=("trial",), priority=Priority.URGENT))
    assert decision.eligibility.reason == (
        'calling_ae_title == "modality" holds for 4 of 4 images; the results go to trial; '
        "4 images to analyse: R CC, L CC, R MLO, L MLO"
    )
    assert (decision.routing, decision.priority) == (Routing("rules.a", False, ("trial",)), Priority.URGENT)


def test_a_rule_for_images_leaves_out_images() -> None:
    decision = decided(rule("right", 'image_laterality == "R"', of_images=True, action=Action.IGNORE))
    assert [one.attributes.image_laterality for one in decision.eligibility.instances] == ["L", "L"]
    assert decision.eligibility.reason.endswith("left out: 2 that rules.right leaves out")


def test_a_study_is_not_eligible_if_a_rule_leaves_out_all_its_images() -> None:
    decision = decided(rule("none", "images > 0", of_images=True, action=Action.IGNORE))
    assert (decision.eligibility.eligible, decision.eligibility.rule) == (False, "rules.none")


def test_rules_for_studies_see_only_the_images_that_are_left() -> None:
    left_out = rule("right", 'image_laterality == "R"', of_images=True, action=Action.IGNORE)
    decision = decided(left_out, rule("two", "images == 2 and standard_views == 2", action=Action.SHADOW))
    assert decision.routing.rule == "rules.two"


@pytest.mark.parametrize("images", [four_views(presentation_intent_type="FOR PROCESSING"), [report()]])
def test_a_rule_cannot_admit_a_study_that_the_built_in_rules_leave_out(images: list[SOPInstance]) -> None:
    decision = decided(rule("all", 'calling_ae_title == "MODALITY"'), images=images)
    assert decision.eligibility.eligible is False
    assert not decision.eligibility.rule.startswith("rules.")


def test_a_rule_can_ask_for_a_view_modifier() -> None:
    images = [*VIEWS, sop_instance("L CC", view_modifiers=("nipple_in_profile",))]
    decision = decided(rule("a", 'view_modifiers == "nipple_in_profile"', action=Action.IGNORE), images=images)
    assert decision.eligibility.reason.endswith("holds for 1 of 5 images")


def test_every_field_that_the_node_adds_has_a_value() -> None:
    image = sop_instance("L CC", view_modifiers=("nipple_in_profile",))
    values = image_values(image, judge(study(image), POLICY), {})
    without = [name for name in NODE_FIELDS if not values(name)]
    assert without == [], "look these fields up in routing.image_values"


def test_a_dry_run_allows_no_notice() -> None:
    asked = [
        decided(rule("a", "images > 0", action=action)).allows_notice for action in (Action.DRY_RUN, Action.IGNORE)
    ]
    assert asked == [False, True]
