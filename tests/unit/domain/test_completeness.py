"""Tests of the decision when a study is complete."""

from dataclasses import replace

import pytest

from glam_node.kinds.facts import KindPolicy
from glam_node.node.domain.completeness import Archived, AssemblyPolicy, completeness
from glam_node.node.domain.instance import SOPInstance
from tests.builders import after, four_views, report, sop_instance, study

POLICY = AssemblyPolicy(settle_time_s=10, quiet_time_s=300, maximum_age_s=3600)
FOR_PROCESSING = four_views(presentation_intent_type="FOR PROCESSING")

CASES: list[tuple[str, list[SOPInstance], float, str]] = [
    ("four views, just arrived", four_views(), 9.9, ""),
    ("four views, settled", four_views(), 10, "settle_time"),
    ("four views with extra ones", [*four_views(), sop_instance("L ML"), report()], 10, "settle_time"),
    ("four views with a retake", [*four_views(), sop_instance("L CC")], 10, "settle_time"),
    ("three views", four_views()[:3], 299, ""),
    ("three views, quiet", four_views()[:3], 300, "quiet_time"),
    ("one view twice over", four_views()[:2] * 2, 299, ""),
    ("four views for processing", FOR_PROCESSING, 299, ""),
    ("four views for processing, quiet", FOR_PROCESSING, 300, "quiet_time"),
    ("no mammogram, quiet", [report()], 300, "quiet_time"),
]


@pytest.mark.parametrize(("name", "instances", "silence_s", "rule"), CASES)
def test_the_first_rule_that_holds_completes_a_study(
    name: str, instances: list[SOPInstance], silence_s: float, rule: str
) -> None:
    whole = completeness(study(*instances), POLICY, after(silence_s))
    assert (whole.complete, whole.rule) == (bool(rule), rule)


def test_the_reason_names_the_views_and_the_silence() -> None:
    reason = completeness(study(*four_views()), POLICY, after(12)).reason
    assert reason == "R CC, L CC, R MLO, L MLO received, sender quiet for 12 s"


def test_the_reason_mentions_that_no_standard_view_arrived() -> None:
    assert completeness(study(report()), POLICY, after(300)).reason.startswith("no standard view received")


def test_the_reason_names_views_that_arrived_and_are_left_out() -> None:
    reason = completeness(study(*FOR_PROCESSING), POLICY, after(300)).reason
    assert reason == "R CC, L CC, R MLO, L MLO (left out: for_processing_only) received, sender quiet for 300 s"


def test_patients_views_complete_a_study_under_a_package_for_phantoms_alone() -> None:
    policy = replace(POLICY, kinds=KindPolicy(phantoms_only=True))
    whole = completeness(study(*four_views()), policy, after(12))
    assert whole.rule == "settle_time"
    assert whole.reason == "R CC, L CC, R MLO, L MLO received, sender quiet for 12 s"


def test_a_study_that_keeps_arriving_is_complete_at_its_maximum_age() -> None:
    endless = study(*four_views()[:2], last_received_at=after(3599))
    assert not completeness(endless, POLICY, after(3599)).complete
    assert completeness(endless, POLICY, after(3600)).reason == (
        "R CC, L CC received, still arriving 3600 s after the first"
    )


def test_the_age_counts_from_the_reopening_of_the_study() -> None:
    reopened = study(*four_views()[:2], receiving_since=after(5000), last_received_at=after(5000))
    assert not completeness(reopened, POLICY, after(5100)).complete


IMPLANTS = four_views(breast_implant_present=True)
DISPLACED = four_views(breast_implant_present=True, view_modifiers=("implant_displaced",))
WITH_IMPLANTS: list[tuple[str, list[SOPInstance], float, str]] = [
    ("four views full of implant", IMPLANTS, 299, ""),
    ("four views full of implant, quiet", IMPLANTS, 300, "quiet_time"),
    ("one displaced view of four", [*IMPLANTS, DISPLACED[0]], 299, ""),
    ("all eight views", [*IMPLANTS, *DISPLACED], 10, "settle_time"),
    ("displaced views alone", DISPLACED, 10, "settle_time"),
    ("an implant in one breast", [IMPLANTS[0], *four_views()[1:]], 299, ""),
    ("its two displaced views", [IMPLANTS[0], *four_views()[1:], DISPLACED[0], DISPLACED[2]], 10, "settle_time"),
    ("an implant that only a displaced view tells of", [*four_views(), DISPLACED[1]], 299, ""),
]


@pytest.mark.parametrize(("name", "instances", "silence_s", "rule"), WITH_IMPLANTS)
def test_a_study_with_implants_waits_for_the_displaced_views_until_it_is_quiet(
    name: str, instances: list[SOPInstance], silence_s: float, rule: str
) -> None:
    assert completeness(study(*instances), POLICY, after(silence_s)).rule == rule


def test_the_reason_names_the_missing_displaced_views() -> None:
    reason = completeness(study(*IMPLANTS, DISPLACED[0]), POLICY, after(300)).reason
    assert reason.endswith("; no view with the implant displaced of L CC, R MLO, L MLO")


def test_a_confirming_archive_does_not_end_the_wait_for_displaced_views() -> None:
    archived = Archived("pacs", 4, 4)
    assert not completeness(study(*IMPLANTS), replace(POLICY, confirms=True), after(299), archived).complete
    assert completeness(study(*IMPLANTS), replace(POLICY, confirms=True), after(300), archived).complete


CONFIRMING = replace(POLICY, confirms=True)
ARCHIVED: list[tuple[str, list[SOPInstance], Archived | None, float, str]] = [
    ("four views, not asked yet", four_views(), None, 299, ""),
    ("two views that are all", four_views()[:2], Archived("pacs", 2, 2), 10, "confirmed"),
    ("two views that are all, just arrived", four_views()[:2], Archived("pacs", 2, 2), 9, ""),
    ("four views of six", four_views(), Archived("pacs", 6, 4), 299, ""),
    ("four views of six, quiet", four_views(), Archived("pacs", 6, 4), 300, "quiet_time"),
    ("four views, none archived yet", four_views(), Archived("pacs", 0, 4), 10, "settle_time"),
    ("four views, the archive is away", four_views(), Archived("pacs", None, 4), 10, "settle_time"),
    ("two views, the archive is away", four_views()[:2], Archived("pacs", None, 2), 299, ""),
    ("a report alone, nothing archived", [report()], Archived("pacs", 0, 0), 299, ""),
]


@pytest.mark.parametrize(("name", "instances", "archived", "silence_s", "rule"), ARCHIVED)
def test_the_answer_of_an_archive_ends_or_prolongs_the_wait(
    name: str, instances: list[SOPInstance], archived: Archived | None, silence_s: float, rule: str
) -> None:
    whole = completeness(study(*instances), CONFIRMING, after(silence_s), archived)
    assert (whole.complete, whole.rule) == (bool(rule), rule)


def test_the_reason_names_the_number_of_mammograms_in_the_archive() -> None:
    confirmed = completeness(study(*four_views()), CONFIRMING, after(12), Archived("pacs", 4, 4))
    assert confirmed.reason == "R CC, L CC, R MLO, L MLO received, all 4 mammograms that pacs has"
    missing = completeness(study(*four_views()), CONFIRMING, after(300), Archived("pacs", 6, 4))
    assert missing.reason.endswith("sender quiet for 300 s; pacs has 6 mammograms, 4 were received")
