"""Formats of values on pages."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from glam_node.node.console.rendering import duration, exact, milliseconds, size, thousands
from glam_node.node.domain.words import date, person_name


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-3, "0 s"),
        (0.4, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3_600, "1 h"),
        (7_380, "2 h 3 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_a_duration_has_at_most_two_units(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(("count", "shown"), [(999, "999 B"), (17_000_000, "17 MB"), (85_000_000_000, "85.0 GB")])
def test_a_size_has_at_most_four_digits(count: int, shown: str) -> None:
    assert size(count) == shown


def test_exact_times_are_in_utc_to_the_millisecond() -> None:
    at = datetime(2026, 1, 2, 12, 0, 0, 41_999, tzinfo=timezone(timedelta(hours=2)))
    assert exact(at) == "2026-01-02 10:00:00.041"
    assert exact(at.astimezone(UTC)) == exact(at)


def test_large_numbers_are_grouped() -> None:
    assert milliseconds(1.2505) == "1\u202f250 ms"
    assert thousands(100_000) == "100\u202f000"


@pytest.mark.parametrize(
    ("stated", "shown"), [("19700101", "1970-01-01"), ("", ""), ("1970", "1970"), ("1970.1.1", "1970.1.1")]
)
def test_a_dicom_date_is_shown_with_hyphens(stated: str, shown: str) -> None:
    assert date(stated) == shown


@pytest.mark.parametrize(
    ("stated", "shown"),
    [
        ("Testfrau^Anna", "Testfrau, Anna"),
        ("Testfrau^Anna^Maria^Dr.^PhD", "Testfrau, Dr. Anna Maria PhD"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou (山田, 太郎) (やまだ, たろう)"),
        ("=山田^太郎", "山田, 太郎"),
        ("^Anna", "Anna"),
        ("", ""),
    ],
)
def test_a_dicom_name_is_shown_as_people_write_it(stated: str, shown: str) -> None:
    assert person_name(stated) == shown
