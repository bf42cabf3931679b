"""Orders and reports in HL7 v2 messages: ORM^O01, OMI^O23 and ORU^R01."""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from glam_node.node.domain.imaging_order import OrderMessage, OrderStep
from glam_node.node.domain.job import Priority
from glam_node.node.domain.stated_patient import PatientIdentifier
from glam_node.node.hl7.answer import Rejected
from glam_node.node.hl7.message import Message, Segment
from glam_node.node.hl7.patients import NOT_STORABLE, is_storable, stated_patient

_PRIORITIES = {
    **dict.fromkeys(("S", "STAT", "A", "ASAP", "U", "URGENT"), Priority.URGENT),
    **dict.fromkeys(("R", "ROUTINE"), Priority.SCREENING),
}
"""Priorities of HL7 table 0485 and words that systems write in their place; with others the sender's counts."""
_STEPS = {
    **dict.fromkeys(("NW", "RP", "RO", "RU", "PA", "CH", "RL", "OE", "OR"), OrderStep.PLACED),
    **dict.fromkeys(("XO", "XX", "XR"), OrderStep.CHANGED),
    **dict.fromkeys(("HD", "OH", "HR"), OrderStep.ON_HOLD),
    **dict.fromkeys(("CA", "OC", "CR", "DC", "OD", "DR"), OrderStep.CANCELLED),
    **dict.fromkeys(("", "SC", "SR", "SS", "SN", "NA", "OK", "RE", "RR", "RQ"), OrderStep.NOTED),
    **dict.fromkeys(("UA", "UC", "UD", "UH", "UM", "UR", "UX"), OrderStep.NOTED),
}
"""Steps by ORC-1, of HL7 table 0119."""
_STATUS_STEPS = {"CM": OrderStep.COMPLETED, "CA": OrderStep.CANCELLED, "DC": OrderStep.CANCELLED}
_FINAL = ("F", "C")
_STUDY = ("113014", "110180")
"""Codes of the observation that contains a Study Instance UID."""
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_LONGEST_REASON = 1000
_MOST_ORDERS = 1000
_YEARS = range(1900, 2201)
"""Years of scheduled times; some systems write others, such as 9999, in place of none."""


@dataclass(frozen=True, slots=True)
class _Group:
    """The segments about one order."""

    segments: tuple[Segment, ...]

    def first(self, name: str) -> Segment | None:
        return next((segment for segment in self.segments if segment.name == name), None)

    def component(self, name: str, field: int, component: int = 1) -> str:
        segment = self.first(name)
        return "" if segment is None else segment.component(field, component).strip()


def announced_orders(message: Message, fields: Sequence[str], authority: str = "") -> list[OrderMessage]:
    """Return what a message says about each of its orders.

    Args:
        message: The message, with a PID.
        fields: The fields that may contain the Accession Number, such as OBR-18 or ORC-3.1.
        authority: The assigning authority whose ID counts if PID-3 has several; empty for the first one.

    Raises:
        Rejected: The message has no order, or one has neither an Accession Number nor a Study Instance UID.
    """
    patient = stated_patient(message).identifier_of(authority)
    is_report = message.header.component(9) == "ORU"
    found = [
        _order(group, patient, fields, is_report=is_report)
        for group in itertools.islice(_groups(message), _MOST_ORDERS + 1)
    ]
    if len(found) > _MOST_ORDERS:
        raise Rejected(f"The message has more than {_MOST_ORDERS} orders.", "100", "OBR")
    if not found:
        raise Rejected(f"The message has no segment {'OBR' if is_report else 'ORC'}.", "100", "OBR")
    return found


def _groups(message: Message) -> Iterator[_Group]:
    """Yield the segments of each order, which begins with ORC, or with OBR where no ORC comes before it."""
    current: list[Segment] = []
    has_request = False
    for segment in message.segments:
        is_request = segment.name == "OBR"
        if segment.name == "ORC" or (is_request and (has_request or not current)):
            if current:
                yield _Group(tuple(current))
            current, has_request = [segment], is_request
        elif current:
            current.append(segment)
            has_request = has_request or is_request
    if current:
        yield _Group(tuple(current))


def _order(group: _Group, patient: PatientIdentifier, fields: Sequence[str], *, is_report: bool) -> OrderMessage:
    accession = next((_stored(value, field) for field in fields if (value := _value(group, field))), "")
    uid = _study_instance_uid(group)
    if not accession and not uid:
        names = ", ".join(fields)
        raise Rejected(
            f"No Accession Number in {names} and no Study Instance UID: nothing can be matched. Set "
            "hl7.accession_number to the fields that have it.",
            "101",
            *_place(next((one for one in fields if group.first(one.partition("-")[0])), fields[-1])),
        )
    return OrderMessage(
        _report_step(group) if is_report else _order_step(group),
        patient,
        accession,
        uid,
        _priority(group),
        (group.component("OBR", 31, 2) or group.component("OBR", 31))[:_LONGEST_REASON].replace("\0", " "),
        _scheduled(group),
    )


def _stored(value: str, field: str) -> str:
    if not is_storable(value):
        raise Rejected(f"{field} has an Accession Number that {NOT_STORABLE}.", "102", *_place(field))
    return value


def _place(field: str) -> tuple[str, int]:
    segment, _, number = field.partition("-")
    return segment, int(number.partition(".")[0])


def _value(group: _Group, field: str) -> str:
    segment, _, number = field.partition("-")
    place, _, component = number.partition(".")
    return group.component(segment, int(place), int(component or 1))


def _study_instance_uid(group: _Group) -> str:
    named = [group.component("ZDS", 1), group.component("IPC", 3), *_observed(group)]
    return next((uid for uid in named if _UID.fullmatch(uid) and len(uid) <= 64), "")


def _observed(group: _Group) -> Iterator[str]:
    for segment in group.segments:
        if segment.name == "OBX" and segment.component(3) in _STUDY:
            yield segment.component(5).strip()


def _order_step(group: _Group) -> OrderStep:
    control, status = group.component("ORC", 1), group.component("ORC", 5)
    step = _STEPS.get(control)
    if step is None:
        known = ", ".join(code for code in _STEPS if code)
        raise Rejected(f"ORC-1 is no order control that the node knows. It knows {known}.", "103", "ORC", 1)
    return step if step is OrderStep.CANCELLED else _STATUS_STEPS.get(status, step)


def _report_step(group: _Group) -> OrderStep:
    return OrderStep.REPORTED if group.component("OBR", 25) in _FINAL else OrderStep.NOTED


def _priority(group: _Group) -> Priority | None:
    stated = [group.component("TQ1", 9), group.component("ORC", 7, 6), group.component("OBR", 27, 6)]
    stated += [group.component("OBR", 5)]
    return _first(_PRIORITIES.get(one.upper()) for one in stated)


def _first(found: Iterable[Priority | None]) -> Priority | None:
    return next((one for one in found if one is not None), None)


def _scheduled(group: _Group) -> datetime | None:
    stated = [group.component("TQ1", 7), group.component("ORC", 7, 4), group.component("OBR", 27, 4)]
    stated += [group.component("OBR", 36)]
    return next((moment for one in stated if (moment := _moment(one)) is not None), None)


def _moment(text: str) -> datetime | None:
    """Return the time that a TS states, or None; without a time zone it is in that of this machine."""
    found = re.fullmatch(r"([0-9]{8}(?:[0-9]{2}){0,3})(\.[0-9]+)?([+-][0-9]{4})?", text)
    if found is None:
        return None
    try:
        moment = datetime.strptime(found[1].ljust(14, "0"), "%Y%m%d%H%M%S")  # noqa: DTZ007
        zone = None if found[3] is None else datetime.strptime(found[3], "%z").tzinfo
    except ValueError:
        return None
    if moment.year not in _YEARS:
        return None
    return moment.astimezone() if zone is None else moment.replace(tzinfo=zone)
