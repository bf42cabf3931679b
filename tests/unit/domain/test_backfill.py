"""The limits of a backfill."""

from datetime import UTC, datetime, time, timedelta

import pytest

from glam_node.node.domain.backfill import BackfillLimits

NIGHT = BackfillLimits(hours=(time(20), time(6)))
NOON = BackfillLimits(hours=(time(12), time(13, 30)))


def at(hour: int, minute: int = 0) -> datetime:
    """Return a time of one day."""
    return datetime(2026, 3, 4, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("limits", "hour", "allowed"),
    [
        (NIGHT, 19, False),
        (NIGHT, 20, True),
        (NIGHT, 5, True),
        (NIGHT, 6, False),
        (NOON, 12, True),
        (NOON, 14, False),
        (BackfillLimits(), 3, True),
    ],
)
def test_hours_may_pass_midnight(limits: BackfillLimits, hour: int, allowed: bool) -> None:
    assert limits.allows(at(hour)) is allowed


def test_the_next_begin_is_today_or_tomorrow() -> None:
    assert NOON.next_begin(at(8)) == at(12)
    assert NOON.next_begin(at(14)) == at(12) + timedelta(days=1)


def test_a_number_of_studies_an_hour_is_an_interval() -> None:
    assert BackfillLimits(per_hour=120).interval == timedelta(seconds=30)
