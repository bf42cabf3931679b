"""Sends audit messages to the collector, in order, until it has them all."""

from collections.abc import Callable, Sequence
from datetime import datetime

from glam_node.node.audit.syslog import frame
from glam_node.node.db import audit_messages
from glam_node.node.db.engine import SessionFactory, reading

AT_ONCE = 100
"""Messages to a connection: as many may be sent twice when it breaks, or this process ends, before they are marked."""


def forward_messages(
    sessions: SessionFactory, send: Callable[[Sequence[bytes]], None], host: str, now: Callable[[], datetime]
) -> int:
    """How many of up to a hundred messages the collector has taken, from this `host`; they are marked as sent.

    Whatever happens none is passed over. To be called again at once while it sends any. Raises what `send` raises.
    """
    with reading(sessions)() as session:
        waiting = audit_messages.unsent(session, AT_ONCE)
    if waiting:
        send([frame(one.sequence, one.event_at, one.message, host) for one in waiting])
        with sessions.begin() as session:
            audit_messages.mark_sent(session, waiting, now())
    return len(waiting)
