"""A hundred thousand damaged conversations: nothing breaks or grows, and a correct sender is served meanwhile."""

import threading
from pathlib import Path

import pytest
from blake3 import blake3
from sqlalchemy import select

from glam_node.node.bootstrap import Node
from glam_node.node.db.tables import InstanceRow
from glam_node.node.storage.instances import SYNCHRONISERS
from tests.integration.node_directory import NodeDirectory, write_node
from tests.torture.attackers import Tally, attack, send_good_images
from tests.torture.conversations import Conversation, recorded_conversations
from tests.torture.holdings import Holding, growth_kib, have_let_go, holdings, holdings_at_rest, make_each_store
from tests.torture.ledger import data_set_bytes
from tests.torture.rig import chosen_seed, is_full_length
from tests.waiting import wait_until

pytestmark = [pytest.mark.alone, pytest.mark.peer("dcmtk"), pytest.mark.timeout(3600)]

CASES = 100_000 if is_full_length() else 3_000
ATTACKERS = 4
PROCESSES = 2
NETWORK_TIMEOUT_S = 2.0
PATIENCE_S = NETWORK_TIMEOUT_S + 1.0
LARGEST_GROWTH_KIB = 20_480
"""Largest growth of each process."""
LONGEST_GOOD_S = 1.0


def impatient(path: Path) -> NodeDirectory:
    """Return a node with a network timeout of two seconds that logs only unexpected errors."""
    directory = write_node(path)
    more = f"[node]\nnetwork_timeout = {NETWORK_TIMEOUT_S}\nreceiver_processes = {PROCESSES}"
    text = directory.settings_path.read_text().replace("[node]", more)
    directory.settings_path.write_text(text + '[log]\nlevel = "error"\n')
    return directory


def played(port: int, pid: int, captures: list[Conversation], first: int) -> tuple[Tally, list[Holding]]:
    """Play all cases with several attackers and one correct sender; return outcomes, and resources after a tenth."""
    tally, stop = Tally(), threading.Event()
    share = CASES // ATTACKERS
    good = threading.Thread(target=send_good_images, args=(port, stop, tally))
    attackers = [
        threading.Thread(target=attack, args=(port, captures, range(at, at + share), PATIENCE_S, tally))
        for at in range(first, first + CASES, share)
    ]
    for thread in (good, *attackers):
        thread.start()
    wait_until(lambda: tally.cases >= CASES // 10, seconds=600)
    early = holdings(pid)
    for thread in attackers:
        thread.join()
    stop.set()
    good.join()
    return tally, early


def missing(node: Node, uids: set[str]) -> set[str]:
    """Return the UIDs that are not recorded, or whose file has another digest than the record."""
    with node.sessions() as session:
        rows = {row.sop_instance_uid: row for row in session.scalars(select(InstanceRow))}
    kept = {uid for uid, row in rows.items() if _digest(node.store.resolve(row.path)) == row.blake3}
    return (uids | set(rows)) - kept


def _digest(path: Path) -> str:
    return blake3(data_set_bytes(path)).hexdigest()


def resident(held: list[Holding]) -> str:
    """Return the memory of each process as text."""
    return ", ".join(str(one.resident_kib) for one in held)


def test_hostile_senders_break_nothing_and_answered_instances_are_kept(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    directory, seed = impatient(tmp_path), chosen_seed() * CASES
    with directory.running("receiver") as [receiver]:
        port, pid = int(receiver.word or 0), receiver.pid
        captures = recorded_conversations(port, tmp_path)
        make_each_store(port, pid, "2.25.99")
        before, beside = holdings_at_rest(pid), {path.name for path in tmp_path.iterdir()}
        tally, early = played(port, pid, captures, seed)
        wait_until(lambda: have_let_go(holdings(pid), before, more_threads=SYNCHRONISERS))
        after = holdings(pid)
        assert receiver.pid == pid, "the receiver died"
    node = directory.build()
    lost, written = missing(node, tally.answered), capfd.readouterr().err
    longest = max(tally.good_seconds)
    with capfd.disabled():
        print(
            f"\n== hostile senders, seed {seed}: {tally.cases} cases, {len(tally.answered)} instances answered, "
            f"{len(lost)} lost; {len(tally.good_seconds)} good associations, the slowest {longest * 1000:.0f} ms; "
            f"memory {resident(early)} KiB early, {resident(after)} KiB after"
        )
    assert (tally.not_closed, tally.good_failures, lost) == ([], [], set())
    assert "association_failed" not in written, written[-3000:]
    assert max(growth_kib(after, early)) < LARGEST_GROWTH_KIB
    assert longest < LONGEST_GOOD_S
    assert list((node.store.root / "incoming").iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == beside | {"storage"}, "something was written elsewhere"
