"""The time zone of a result: the one that its source images state, or else that of this process.

Timezone Offset From UTC (0008,0201) applies to every date and time in an object (PS3.3 C.12.1.1.8). A result repeats
dates and times of its source and adds its own, so both must be in one zone, and the object states that zone.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

from pydicom.dataset import Dataset
from pydicom.valuerep import DA, TM

from glam_node.node.results.element_values import text_value

_OFFSET = re.compile(r"([+-])(\d\d):?([0-5]\d)")
_EARLIEST, _LATEST = timedelta(hours=-12), timedelta(hours=14)


def stated_zone(source: Dataset) -> timezone | None:
    """Return the time zone that an image states, or None if it states no legal offset."""
    match = _OFFSET.fullmatch(text_value(source, "TimezoneOffsetFromUTC"))
    if match is None:
        return None
    sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
    return timezone(offset) if _EARLIEST <= offset <= _LATEST else None


def zone_of(sources: Iterable[Dataset]) -> timezone | None:
    """Return the time zone of a result of these images: the first one that an image states, or None."""
    return next((zone for source in sources if (zone := stated_zone(source)) is not None), None)


def state_zone(sources: Iterable[Dataset]) -> None:
    """Set the time zone in those images of one study that state none, if another image states it."""
    images = list(sources)
    zone = zone_of(images)
    for source in images:
        if zone is not None and stated_zone(source) is None:
            source.TimezoneOffsetFromUTC = offset_text(datetime.now(zone))


def offset_text(moment: datetime) -> str:
    """Return the offset of a time from UTC in the form of PS3.3 C.12.1.1.8, such as +0100."""
    return moment.strftime("%z")[:5]


def shifted(date: str, time: str, source: Dataset, first: Dataset) -> tuple[str, str]:
    """Return a date and a time of `source` in the time zone of `first`, or unchanged if that is impossible.

    The conversion is impossible if an image states no time zone, or if the date would be before the year 1 or after
    9999.

    Args:
        date: A legal DA.
        time: A legal TM; without a time the date stays unchanged.
        source: The image that contains them.
        first: The image whose time zone the result has.
    """
    zone, wanted = stated_zone(source), stated_zone(first)
    day, hour = DA(date), TM(time)
    if zone is None or wanted is None or zone == wanted or day is None or hour is None:
        return date, time
    try:
        moment = datetime.combine(day, hour, zone).astimezone(wanted)
    except OverflowError:  # before the year 1 or after 9999
        return date, time
    return moment.strftime("%Y%m%d"), moment.strftime("%H%M%S.%f" if "." in time else "%H%M%S")
