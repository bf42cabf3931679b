"""Delivery of a study with one object at which its archive breaks off, while senders end in the middle of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from pydicom.dataset import Dataset

from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.ports import OutgoingInstance, StoreOutcome
from glam_node.node.workflow.deliver.send_results import CLAIM_TIME
from tests.unit.workflow.workbench import BOTH, Archive, Killed, Workbench


@dataclass
class AbortingArchive(Archive):
    """An archive that aborts the association over the object of one UID, and takes all others."""

    poison: str = ""
    on_abort: Callable[[], None] = lambda: None

    def store(self, instances: Sequence[OutgoingInstance]) -> list[StoreOutcome]:
        """Store what comes before the poisoned object; what comes behind it was never sent."""
        outcomes: list[StoreOutcome] = []
        for one in instances:
            uid, aborted = one.sop_instance_uid, any(not outcome.stored for outcome in outcomes)
            if aborted:
                outcomes.append(StoreOutcome(uid, False, None, True, "It was not sent.", reached=False))
            elif uid == self.poison:
                self.on_abort()
                outcomes.append(StoreOutcome(uid, False, None, True, "ARCHIVE aborted.", broke_off=True))
            else:
                self.received.append(uid)
                outcomes.append(StoreOutcome(uid, True, 0x0000, False, ""))
        return outcomes


def kill() -> None:
    raise Killed


@pytest.mark.parametrize("place", [0, 1, -1])
def test_a_sender_that_is_killed_at_a_poisoned_object_loses_and_doubles_nothing(
    bench: Workbench, exam: list[Dataset], place: int
) -> None:
    bench.destinations = {"archive": (*BOTH, "parametric_map")}
    bench.run(bench.submitted(*exam))
    poison = bench.deliveries()[place].sop_instance_uid
    with pytest.raises(Killed):
        bench.deliver(AbortingArchive(poison=poison, on_abort=kill))
    archive = AbortingArchive(poison=poison)
    for _ in range(6):
        bench.clock.turn(CLAIM_TIME.total_seconds() + 60)
        bench.deliver(archive)
    others = {one.sop_instance_uid for one in bench.deliveries()} - {poison}
    assert sorted(archive.received) == sorted(others)
    states = {one.sop_instance_uid: one.state for one in bench.deliveries()}
    assert {states[uid] for uid in others} == {DeliveryState.STORED}
    assert states[poison] in (DeliveryState.PENDING, DeliveryState.ABANDONED)
    assert max(one.attempt for one in bench.deliveries() if one.sop_instance_uid != poison) <= 2
