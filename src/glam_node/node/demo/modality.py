"""A simulated modality: a Storage SCU that sends one exam over one association."""

from collections.abc import Sequence

from glam_node.node.domain.ports import OutgoingInstance, StoreOutcome
from glam_node.node.domain.words import counted
from glam_node.node.errors import PermanentError
from glam_node.node.scu.association import RemoteAE
from glam_node.node.scu.store import CStoreDestination

AE_TITLE = "DEMOMODALITY"
TIMEOUT_S = 60.0


def send(instances: Sequence[OutgoingInstance], ae_title: str, port: int) -> list[StoreOutcome]:
    """Send instances to the node on this machine, and return the answer to each.

    Args:
        instances: The instances to send.
        ae_title: The AE title of the node.
        port: The TCP port of the node.

    Raises:
        PermanentError: The node stored none of the instances.
    """
    node = RemoteAE("node", ae_title, "127.0.0.1", port, TIMEOUT_S, AE_TITLE)
    outcomes = CStoreDestination(node).store(instances)
    if not any(outcome.stored for outcome in outcomes):
        raise PermanentError(f"The node stored none of {counted(len(instances), 'image')}: {outcomes[0].failure}")
    return outcomes
