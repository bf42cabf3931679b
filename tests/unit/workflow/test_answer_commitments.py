"""Replies to storage commitment requests of peers."""

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from glam_node.node.db import commitments
from glam_node.node.domain.commitment import CommitmentReply, Failure, Reference
from glam_node.node.domain.job import RetryPolicy
from glam_node.node.errors import TransientError
from glam_node.node.storage.root import MARKER, write_marker
from glam_node.node.workflow.deliver import answer_commitments as answer_commitments_module
from glam_node.node.workflow.deliver.answer_commitments import answer_commitments, reply_to
from tests.unit.workflow.workbench import Workbench

POLICY = RetryPolicy(5.0, 2.0, 60.0, maximum_attempts=3)


@dataclass
class Peer:
    """A peer that accepts replies while it listens."""

    is_away: bool = False
    heard: list[CommitmentReply] = field(default_factory=list)

    def hear(self, report: CommitmentReply) -> None:
        """Accept an N-EVENT-REPORT."""
        if self.is_away:
            raise TransientError("PACS at 127.0.0.1:104 cannot be reached: connection refused.")
        self.heard.append(report)


def request(bench: Workbench, *references: Reference) -> None:
    with bench.sessions.begin() as session:
        commitments.add(session, "PACS", "2.25.5", references, bench.clock())


def answer(bench: Workbench, peer: Peer) -> int:
    return answer_commitments(bench.sessions, bench.store, {"PACS": peer.hear}, POLICY, bench.clock)


def reference(image: Dataset) -> Reference:
    return Reference(str(image.SOPClassUID), str(image.SOPInstanceUID))


def test_reply_commits_stored_instances_and_gives_a_reason_for_the_others(
    bench: Workbench, exam: list[Dataset]
) -> None:
    bench.receive(*exam[:2])
    kept, other_class, lacking = reference(exam[0]), Reference("1.2.3", str(exam[1].SOPInstanceUID)), reference(exam[2])
    request(bench, kept, other_class, lacking)
    peer = Peer()
    assert (answer(bench, peer), answer(bench, peer)) == (1, 0)
    assert peer.heard == [CommitmentReply("2.25.5", [kept], [Failure(other_class, 0x0119), Failure(lacking, 0x0112)])]


def test_an_instance_whose_file_is_gone_is_not_committed(bench: Workbench, exam: list[Dataset]) -> None:
    bench.receive(exam[0])
    next(bench.store.root.rglob("*.dcm")).unlink()
    request(bench, reference(exam[0]))
    peer = Peer()
    answer(bench, peer)
    assert [failure.reason for failure in peer.heard[0].failed] == [0x0112]


def test_instances_are_not_denied_while_the_storage_root_is_away(bench: Workbench, exam: list[Dataset]) -> None:
    bench.receive(exam[0])
    request(bench, reference(exam[0]))
    peer, (kept,) = Peer(), bench.store.root.rglob("*.dcm")
    away = kept.rename(bench.store.root / "away")
    write_marker(bench.store.root, "another directory")
    assert (answer(bench, peer), peer.heard) == (0, [])
    (bench.store.root / MARKER).unlink()
    away.rename(kept)
    bench.clock.turn(5)
    assert answer(bench, peer) == 1
    assert peer.heard == [CommitmentReply("2.25.5", [reference(exam[0])], [])]


def test_instances_are_not_denied_when_the_storage_root_returns_while_the_reply_is_made(
    bench: Workbench, exam: list[Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.receive(exam[0])
    request(bench, reference(exam[0]))
    peer, (kept,) = Peer(), bench.store.root.rglob("*.dcm")
    away = kept.rename(bench.store.root / "away")
    write_marker(bench.store.root, "another directory")

    def made_while_the_root_returns(*given: Any) -> CommitmentReply:
        reply = reply_to(*given)
        (bench.store.root / MARKER).unlink()
        away.rename(kept)
        return reply

    monkeypatch.setattr(answer_commitments_module, "reply_to", made_while_the_root_returns)
    assert (answer(bench, peer), peer.heard) == (0, [])


def test_instances_are_not_denied_when_the_disk_fails(
    bench: Workbench, exam: list[Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.receive(exam[0])
    request(bench, reference(exam[0]))
    peer, whole = Peer(), Path.stat

    def stale(path: Path, **given: Any) -> os.stat_result:
        if path.suffix == ".dcm":
            raise OSError(errno.ESTALE, "Stale file handle")
        return whole(path, **given)

    with monkeypatch.context() as faulty:
        faulty.setattr(Path, "stat", stale)
        assert (answer(bench, peer), peer.heard) == (0, [])
    bench.clock.turn(5)
    assert answer(bench, peer) == 1
    assert peer.heard == [CommitmentReply("2.25.5", [reference(exam[0])], [])]


def test_a_peer_that_is_away_gets_the_reply_later(bench: Workbench, exam: list[Dataset]) -> None:
    bench.receive(exam[0])
    request(bench, reference(exam[0]))
    peer = Peer(is_away=True)
    assert answer(bench, peer) == 0
    peer.is_away = False
    assert answer(bench, peer) == 0, "not at once"
    bench.clock.turn(5)
    assert answer(bench, peer) == 1


def test_a_peer_that_never_takes_the_reply_is_given_up_and_may_ask_again(bench: Workbench, exam: list[Dataset]) -> None:
    bench.receive(exam[0])
    request(bench, reference(exam[0]))
    peer = Peer(is_away=True)
    for _ in range(5):
        answer(bench, peer)
        bench.clock.turn(60)
    peer.is_away = False
    assert answer(bench, peer) == 0
    request(bench, reference(exam[0]))
    assert answer(bench, peer) == 1


def test_a_slow_peer_gets_every_reply_once(bench: Workbench) -> None:
    uids = [f"2.25.{number}" for number in range(3)]
    with bench.sessions.begin() as session:
        for uid in uids:
            commitments.add(session, "PACS", uid, [Reference("1.2.3", "2.25.9")], bench.clock())
    heard: list[str] = []

    def hear(report: CommitmentReply) -> None:
        heard.append(report.transaction_uid)
        bench.clock.turn(90)
        if len(heard) == 2:  # another sender looks for due requests before the second reply has been recorded
            answer_commitments(bench.sessions, bench.store, {"PACS": other.hear}, POLICY, bench.clock)

    other = Peer()
    answer_commitments(bench.sessions, bench.store, {"PACS": hear}, POLICY, bench.clock)
    assert sorted([*heard, *(one.transaction_uid for one in other.heard)]) == uids


def test_thousands_of_references_are_looked_up(bench: Workbench) -> None:
    request(bench, *[Reference("1.2.3", f"2.25.{number}") for number in range(40_000)])
    peer = Peer()
    answer(bench, peer)
    assert len(peer.heard[0].failed) == 40_000
