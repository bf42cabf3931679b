"""Where the receiver takes what peers ask and tell of storage commitment."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from glam_node.node.db import commitments
from glam_node.node.db.writer import Writer
from glam_node.node.domain.commitment import Reference, Report
from glam_node.node.errors import PermanentError
from glam_node.node.workflow.commit_results import CommitmentRules, take_report


class CommitmentDesk:
    """Everything is on record, durably, when a method returns; the sender does the rest."""

    def __init__(self, writer: Writer, peers: Collection[str], rules: CommitmentRules) -> None:
        self._writer = writer
        self._peers = peers
        """AE titles of peers whose requests can be answered."""
        self._rules = rules

    def request(self, calling_ae_title: str, transaction_uid: str, references: Sequence[Reference]) -> None:
        """A peer asks whether we keep these. Raises PermanentError when it cannot be answered, TransientError."""
        if calling_ae_title not in self._peers:
            raise PermanentError(f"where to answer {calling_ae_title}? set peers.NAME.destination")
        now = datetime.now(UTC)
        self._writer.submit(
            lambda session: commitments.add(session, calling_ae_title, transaction_uid, references, now)
        )

    def report(self, calling_ae_title: str, report: Report) -> None:
        """A peer says which of ours it keeps. Raises PermanentError for what we did not ask it, TransientError."""
        now = datetime.now(UTC)
        self._writer.submit(lambda session: take_report(session, calling_ae_title, report, self._rules, now))
