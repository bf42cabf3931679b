"""The page of refusals: rejected associations with the settings to admit them, aborts, instances and HL7 messages."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from glam_node.node.console.rendering import Renderer
from glam_node.node.db import audit
from glam_node.node.domain.event import Event, EventKind
from glam_node.node.scp.access import is_settled

_MOST_EVENTS = 500
_MOST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Refusal:
    """Equal refusals to one peer, with their number."""

    calling_ae_title: str
    called_ae_title: str
    address: str
    reason: str
    remedy: str
    """The settings that would admit the association, or other advice; empty for an instance."""
    status: str
    sop_class_uid: str
    times: int
    first_at: datetime
    last_at: datetime


def page(renderer: Renderer, request: Request) -> Response:
    """Show the latest refusals; equal refusals form one row."""
    with renderer.sessions() as session:
        rejected = audit.recent(session, EventKind.ASSOCIATION_REJECTED, _MOST_EVENTS)
        aborted = audit.recent(session, EventKind.ASSOCIATION_ABORTED, _MOST_EVENTS)
        refused = audit.recent(session, EventKind.INSTANCE_REFUSED, _MOST_EVENTS)
        messages = audit.recent(session, EventKind.MESSAGE_REFUSED, _MOST_EVENTS)
    settings = renderer.node.settings
    open_ones = [event for event in rejected if not is_settled(event.detail, settings.node, settings.peers)]
    return renderer.render(
        request,
        "refusals",
        associations=grouped(open_ones)[:_MOST_SHOWN],
        settled=len(rejected) - len(open_ones),
        aborts=grouped(aborted)[:_MOST_SHOWN],
        instances=grouped(refused)[:_MOST_SHOWN],
        messages=grouped(messages)[:_MOST_SHOWN],
        unlisted=sum(int(event.detail.get("unlisted", 0)) for event in (*rejected, *aborted, *refused, *messages)),
    )


def grouped(newest_first: Iterable[Event]) -> list[Refusal]:
    """Group events with the same peer, reason and SOP class; the group with the latest event comes first."""
    alike: dict[tuple[str, ...], list[Event]] = {}
    for event in newest_first:
        key = tuple(_text(event, name) for name in ("calling_ae_title", "called_ae_title", "address", "reason"))
        alike.setdefault((*key, _text(event, "sop_class_uid")), []).append(event)
    return [_refusal(events) for events in alike.values()]


def _refusal(newest_first: list[Event]) -> Refusal:
    last = newest_first[0]
    return Refusal(
        calling_ae_title=_text(last, "calling_ae_title"),
        called_ae_title=_text(last, "called_ae_title"),
        address=_text(last, "address"),
        reason=_text(last, "reason"),
        remedy=_text(last, "remedy"),
        status=_text(last, "status"),
        sop_class_uid=_text(last, "sop_class_uid"),
        times=sum(1 + int(event.detail.get("repeated", 0)) for event in newest_first),
        first_at=newest_first[-1].at,
        last_at=last.at,
    )


def _text(event: Event, name: str) -> str:
    return str(event.detail.get(name, ""))
