"""A simulated modality: a Storage SCU that sends one exam over one association."""

from collections.abc import Sequence

from glam_node.node.domain.ports import OutgoingInstance
from glam_node.node.errors import PermanentError
from glam_node.node.scu.association import Peer
from glam_node.node.scu.store import CStoreDestination

AE_TITLE = "DEMOMODALITY"
TIMEOUT_S = 60.0


def send(instances: Sequence[OutgoingInstance], ae_title: str, port: int) -> None:
    """Every instance was answered with success by the node on this machine. Raises PermanentError when one was not."""
    node = Peer("node", ae_title, "127.0.0.1", port, TIMEOUT_S, AE_TITLE)
    failures = [outcome.failure for outcome in CStoreDestination(node).store(instances) if not outcome.stored]
    if failures:
        raise PermanentError(f"The node did not take {len(failures)} of {len(instances)} images: {failures[0]}")
