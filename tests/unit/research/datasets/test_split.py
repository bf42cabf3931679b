"""Tests of splits: no study or patient is in two parts, and the parts are the same on every machine."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glam_node.inference.mammogram import Laterality, ViewPosition
from glam_node.research.datasets.labelled import LabelledView
from glam_node.research.datasets.split import assigned_parts, split_views

THREE = {"training": 0.6, "validation": 0.2, "test": 0.2}


def view(number: int, study: str, patient: str = "", split: str = "") -> LabelledView:
    position = (Laterality.LEFT, ViewPosition.CC)
    return LabelledView(f"image-{number}", study, *position, False, False, split=split, patient_key=patient)


def studies(count: int, split: str = "") -> list[LabelledView]:
    return [view(number, f"study-{number}", split=split) for number in range(count)]


origins = st.tuples(
    st.sampled_from(["s1", "s2", "s3", "s4", "s5", "s6"]),
    st.sampled_from(["", "p1", "p2", "p3"]),
    st.sampled_from(["", "training", "validation", "test"]),
)


def part_of_each(parts: dict[str, tuple[LabelledView, ...]], key: str) -> list[set[str]]:
    return [{getattr(view, key) for view in part} - {""} for part in parts.values()]


@settings(deadline=None)
@given(st.lists(origins, max_size=30), st.integers(0, 5), st.sampled_from([split_views, assigned_parts]))
def test_no_study_and_no_patient_is_in_two_parts(origins, seed, split) -> None:  # type: ignore[no-untyped-def]
    views = [view(number, *origin) for number, origin in enumerate(origins)]
    parts = split(views, THREE, seed)
    assert sorted(each.image_id for part in parts.values() for each in part) == sorted(v.image_id for v in views)
    for key in ("study_id", "patient_key"):
        found = part_of_each(parts, key)
        assert sum(map(len, found)) == len(set().union(*found))


def test_parts_have_about_the_wanted_sizes() -> None:
    parts = split_views(studies(2000), THREE)
    assert [len(part) / 2000 for part in parts.values()] == pytest.approx([0.6, 0.2, 0.2], abs=0.03)


def test_a_split_never_changes() -> None:
    assert [each.study_id for each in split_views(studies(12), THREE)["test"]] == ["study-3", "study-10"]


def test_additional_studies_move_no_other_study() -> None:
    few, many = split_views(studies(50), THREE), split_views(studies(100), THREE)
    assert all(set(few[name]) <= set(many[name]) for name in THREE)


def test_another_seed_gives_another_split() -> None:
    assert split_views(studies(50), THREE, seed=0) != split_views(studies(50), THREE, seed=1)


@pytest.mark.parametrize("fractions", [{}, {"a": 0.5}, {"a": 1.5, "b": -0.5}])
def test_fractions_that_do_not_add_up_are_refused(fractions: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="add up to 1"):
        split_views(studies(3), fractions)


def test_a_part_that_the_data_set_assigns_is_kept() -> None:
    views = [view(1, "a", split="training"), view(2, "b", split="validation"), view(3, "c", split="test")]
    assert {name: part[0].study_id for name, part in assigned_parts(views, THREE).items()} == {
        "training": "a",
        "validation": "b",
        "test": "c",
    }


def test_a_validation_part_that_is_not_assigned_is_taken_from_training() -> None:
    trained_on = studies(400, split="training")
    tested_on = [view(1000 + number, f"test-{number}", split="test") for number in range(50)]
    parts = assigned_parts([*trained_on, *tested_on], THREE)
    assert parts["test"] == tuple(tested_on)
    assert len(parts["validation"]) / 400 == pytest.approx(0.25, abs=0.06)


def test_a_study_in_two_assigned_parts_is_for_testing_only() -> None:
    views = [view(1, "a", split="test"), view(2, "a", split="training")]
    assert assigned_parts(views, THREE)["test"] == tuple(views)


def test_views_assigned_to_an_unnamed_part_are_left_out() -> None:
    parts = assigned_parts([view(1, "a", split="excluded")], THREE)
    assert not any(parts.values())
