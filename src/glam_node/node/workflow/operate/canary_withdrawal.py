"""Withdrawal of the results of a canary from the destinations that stored them."""

from collections.abc import Callable, Mapping, Sequence

from glam_node.node.domain.delivery import Delivery, DeliveryState
from glam_node.node.domain.ports import OutgoingInstance
from glam_node.node.errors import NodeError
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.operate.study_progress import Progress

Withdrawal = Callable[[Progress, Sequence[OutgoingInstance]], None]
"""Function that withdraws objects of a study from one destination; raises NodeError if it does not remove them."""


def withdraw(store: InstanceStore, withdrawals: Mapping[str, Withdrawal], progress: Progress) -> str:
    """Withdraw everything that the destinations stored, and return what they still have, in words; empty for nothing.

    Args:
        store: The storage root, with the results.
        withdrawals: The function for each destination that can withdraw objects, by its name.
        progress: The study.
    """
    troubles = []
    for name, take_back in withdrawals.items():
        objects = [_outgoing(one, store) for one in progress.deliveries if one.destination == name and _is_there(one)]
        try:
            if objects:
                take_back(progress, objects)
        except NodeError as error:
            troubles.append(f"Results were not withdrawn from {name}: {error}")
    return " ".join(troubles)


def _is_there(delivery: Delivery) -> bool:
    return delivery.state in (DeliveryState.STORED, DeliveryState.COMMITTED)


def _outgoing(delivery: Delivery, store: InstanceStore) -> OutgoingInstance:
    uid, syntax = delivery.sop_instance_uid, delivery.transfer_syntax_uid
    return OutgoingInstance(delivery.sop_class_uid, uid, syntax, store.resolve(delivery.path))
