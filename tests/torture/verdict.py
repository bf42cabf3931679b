"""Comparison of the node with its answers: every instance is on disk bit for bit, every study has its results once."""

from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3
from sqlalchemy import select

from glam_node.node.bootstrap import Node
from glam_node.node.db import deliveries, jobs, studies
from glam_node.node.db.tables import InstanceRow
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.job import JobState
from glam_node.node.domain.study import StudyState
from tests.torture.archive import Contents, doubled, incomplete
from tests.torture.ledger import Ledger, Sent, data_set_bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """Violations of the node's promises; without any, all fields are empty."""

    unanswered: frozenset[str]
    """Instances that were never answered 0x0000, because the sender gave up."""
    lost: frozenset[str]
    """Instances that were answered 0x0000 and are not stored as they were sent."""
    without_results: frozenset[str]
    """Studies without all results."""
    results_twice: frozenset[str]
    """Studies with duplicate results."""
    failed: tuple[str, ...]
    """Jobs that were given up, and deliveries that were abandoned."""

    def is_innocent(self) -> bool:
        """Return whether nothing was lost or duplicated."""
        return not (self.unanswered or self.lost or self.without_results or self.results_twice or self.failed)


def judge(ledger: Ledger, node: Node, found: Contents) -> Verdict:
    """Compare the node's disk and database and the archive with the ledger."""
    answered = [one for uid, one in ledger.instances.items() if ledger.answers[uid]]
    on_record = _digests(node)
    return Verdict(
        unanswered=frozenset(uid for uid in ledger.instances if not ledger.answers[uid]),
        lost=frozenset(one.sop_instance_uid for one in answered if not _is_kept(one, node, on_record)),
        without_results=frozenset(incomplete(found, ledger.studies())),
        results_twice=frozenset(doubled(found)),
        failed=_failed(node),
    )


def is_at_rest(node: Node) -> bool:
    """Return whether the node has nothing left to do: all studies are judged, all jobs done, all deliveries made."""
    with node.sessions() as session:
        waiting_jobs = sum(jobs.counts_by_state(session).get(state, 0) for state in jobs.UNFINISHED)
        counts = deliveries.counts(session)
        by_state = studies.counts_by_state(session)
    if any(by_state.get(state) for state in (StudyState.RECEIVING, StudyState.COMPLETE)):
        return False
    return not waiting_jobs and not any(state is DeliveryState.PENDING for _, state in counts)


def _is_kept(one: Sent, node: Node, on_record: dict[str, tuple[str, str]]) -> bool:
    path, digest = on_record.get(one.sop_instance_uid, ("", ""))
    if not path or not node.store.resolve(path).is_file():
        return False
    sent = data_set_bytes(one.path)
    return data_set_bytes(node.store.resolve(path)) == sent and blake3(sent).hexdigest() == digest


def _digests(node: Node) -> dict[str, tuple[str, str]]:
    with node.sessions() as session:
        rows = session.execute(select(InstanceRow.sop_instance_uid, InstanceRow.path, InstanceRow.blake3))
        return {uid: (path, digest) for uid, path, digest in rows}


def _failed(node: Node) -> tuple[str, ...]:
    with node.sessions() as session:
        failed = jobs.counts_by_state(session).get(JobState.FAILED, 0)
        abandoned = [count for (_, state), count in deliveries.counts(session).items() if state.name == "ABANDONED"]
    return tuple([f"{failed} jobs"] * bool(failed) + [f"{sum(abandoned)} deliveries"] * bool(abandoned))


def evidence(directory: Path, verdict: Verdict) -> None:
    """Write the verdict in words to the directory of the logs."""
    (directory / "verdict.txt").write_text(f"{verdict}\n")
