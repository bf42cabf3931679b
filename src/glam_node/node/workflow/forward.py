"""Forwarding of audit messages to the collector (syslog), in their order."""

from collections.abc import Callable, Sequence
from datetime import datetime

from glam_node.node.audit.syslog import frame
from glam_node.node.db import audit_messages
from glam_node.node.db.engine import SessionFactory, reading

AT_ONCE = 100
"""Maximum number of messages per call, and so of messages that are sent twice when the process dies on the way."""


def forward_messages(
    sessions: SessionFactory, send: Callable[[Sequence[bytes]], None], host: str, now: Callable[[], datetime]
) -> int:
    """Send up to AT_ONCE audit messages and mark them as sent; return how many there were.

    Call it again at once while it sends any. A message may be sent twice, but none is ever left out.

    Args:
        sessions: Database sessions.
        send: Function that sends frames to the collector; its errors pass through.
        host: Name of this host for the syslog header.
        now: Clock.
    """
    with reading(sessions)() as session:
        waiting = audit_messages.unsent(session, AT_ONCE)
    if waiting:
        send([frame(one.sequence, one.event_at, one.message, host) for one in waiting])
        with sessions.begin() as session:
            audit_messages.mark_sent(session, waiting, now())
    return len(waiting)
