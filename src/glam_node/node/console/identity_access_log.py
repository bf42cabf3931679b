"""Audit of access to identities: recorded before they are shown, and only once if a page refreshes itself."""

import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from starlette.requests import Request

from glam_node.node.bootstrap import Node
from glam_node.node.db import audit
from glam_node.node.domain.event import EventKind

SAME_ACCESS = timedelta(minutes=15)
"""The time within which further requests of a session for the same study count as the same access."""


class IdentityAccessLog:
    """The latest accesses of each session to identities of studies."""

    def __init__(self, node: Node, now: Callable[[], datetime]) -> None:
        self._node = node
        self._now = now
        self._at: dict[tuple[str, str], datetime] = {}
        self._lock = threading.Lock()

    def record(self, request: Request, study_instance_uids: Iterable[str], *, again: bool = False) -> None:
        """Record in the audit trail that this visitor sees the identities of these studies.

        Args:
            request: The visitor's request.
            study_instance_uids: The studies whose identities will be shown.
            again: Whether to record this access even if it is within `SAME_ACCESS` of the previous one.
        """
        visitor, now = request.state.visitor, self._now()
        with self._lock:
            self._at = {key: at for key, at in self._at.items() if now - at < SAME_ACCESS}
            keys = [(visitor.form_token, uid) for uid in study_instance_uids]
            new = [key for key in keys if again or key not in self._at]
        # Not within the lock, which would let all visitors wait for the database.
        with self._node.sessions.begin() as session:
            for _, uid in new:
                who = {"account": visitor.actor.account, "address": visitor.actor.address}
                audit.record(session, EventKind.IDENTITY_SHOWN, now, study_instance_uid=uid, **who)
        with self._lock:
            self._at.update(dict.fromkeys(new, now))
