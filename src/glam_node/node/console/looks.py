"""Each look at whose study it is goes on record before it is shown; a page that renews itself is one look."""

import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from starlette.requests import Request

from glam_node.node.bootstrap import Node
from glam_node.node.db import audit

ONE_LOOK = timedelta(minutes=15)
"""For so long a session that was told of a study looks at it, and does not look again."""


class Looks:
    """Who was told of which study, and when."""

    def __init__(self, node: Node, now: Callable[[], datetime]) -> None:
        self._node = node
        self._now = now
        self._at: dict[tuple[str, str], datetime] = {}
        self._lock = threading.Lock()

    def record(self, request: Request, study_instance_uids: Iterable[str], *, again: bool = False) -> None:
        """On record: this visitor sees whose studies these are; `again`: however short ago that was before."""
        visitor, now = request.state.visitor, self._now()
        with self._lock:
            self._at = {key: at for key, at in self._at.items() if now - at < ONE_LOOK}
            keys = [(visitor.form_token, uid) for uid in study_instance_uids]
            new = [key for key in keys if again or key not in self._at]
            with self._node.sessions.begin() as session:
                for _, uid in new:
                    who = {"account": visitor.actor.account, "address": visitor.actor.address}
                    audit.record(session, "identity_shown", now, study_instance_uid=uid, **who)
            self._at.update(dict.fromkeys(new, now))
