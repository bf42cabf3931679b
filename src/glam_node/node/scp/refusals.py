"""An association that was not opened is on record, with the line of settings that would admit who asked."""

import structlog

from glam_node.node.scp.access import Rejection
from glam_node.node.scp.store import OnRefused

log = structlog.get_logger(__name__)


def tell(
    on_refused: OnRefused, rejection: Rejection, address: str, calling_ae_title: str = "", called_ae_title: str = ""
) -> None:
    """Logged, and told to `on_refused`."""
    detail: dict[str, object] = {
        "calling_ae_title": calling_ae_title,
        "called_ae_title": called_ae_title,
        "address": address,
        "reason": rejection.reason,
        "remedy": rejection.remedy,
    }
    log.warning("association_rejected", **detail)
    on_refused("association_rejected", detail)
