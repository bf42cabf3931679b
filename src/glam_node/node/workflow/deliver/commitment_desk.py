"""Intake of storage commitment messages in the receiver."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from glam_node.node.db import commitments
from glam_node.node.db.writer import Writer
from glam_node.node.domain.commitment import CommitmentReply, Reference
from glam_node.node.errors import PermanentError
from glam_node.node.workflow.deliver.commit_results import CommitmentPolicy, take_report


class CommitmentDesk:
    """Storage of the commitment requests and replies of peers; each is in the database when its method returns.

    The sender process replies to the requests.
    """

    def __init__(self, writer: Writer, peers: Collection[str], policy: CommitmentPolicy) -> None:
        self._writer = writer
        self._peers = peers
        """AE titles of the peers that a reply can be sent to."""
        self._policy = policy

    def request(self, calling_ae_title: str, transaction_uid: str, references: Sequence[Reference]) -> None:
        """Store a request of a peer, which the sender answers.

        Raises:
            PermanentError: No destination is configured to which a reply could be sent.
            TransientError: The request cannot be stored in the database at present.
        """
        if calling_ae_title not in self._peers:
            raise PermanentError(f"cannot reply to {calling_ae_title}: set peers.NAME.destination")
        now = datetime.now(UTC)
        self._writer.submit(
            lambda session: commitments.add(session, calling_ae_title, transaction_uid, references, now)
        )

    def report(self, calling_ae_title: str, report: CommitmentReply) -> None:
        """Apply the reply of a peer to the results that it was asked to commit.

        Raises:
            PermanentError: The request that the reply belongs to was not sent to this peer.
            TransientError: The reply cannot be stored in the database at present.
        """
        now = datetime.now(UTC)
        self._writer.submit(lambda session: take_report(session, calling_ae_title, report, self._policy, now))
