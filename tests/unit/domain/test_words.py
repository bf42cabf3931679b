"""Tests of the English phrases for numbers."""

import pytest

from glam_node.node.domain.words import by_number, counted


@pytest.mark.parametrize(
    ("count", "noun", "words"),
    [
        (0, "result", "0 results"),
        (1, "result", "1 result"),
        (2, "study", "2 studies"),
        (3, "day", "3 days"),
        (1, "study", "1 study"),
    ],
)
def test_a_count_is_shown_with_the_right_form_of_its_noun(count: int, noun: str, words: str) -> None:
    assert counted(count, noun) == words


def test_an_irregular_plural_is_used_as_given() -> None:
    assert counted(2, "person", "people") == "2 people"


def test_a_verb_agrees_with_its_count() -> None:
    assert [by_number(count, "is", "are") for count in (0, 1, 2)] == ["are", "is", "are"]
