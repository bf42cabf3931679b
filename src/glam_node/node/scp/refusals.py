"""Log lines and events of associations that were rejected or aborted."""

import structlog

from glam_node.node.scp.access import Rejection
from glam_node.node.scp.store import OnRefused

log = structlog.get_logger(__name__)


def tell(
    on_refused: OnRefused, rejection: Rejection, address: str, calling_ae_title: str = "", called_ae_title: str = ""
) -> None:
    """Log a rejected association and record its event by `on_refused`."""
    detail: dict[str, object] = {
        "calling_ae_title": calling_ae_title,
        "called_ae_title": called_ae_title,
        "address": address,
        "reason": rejection.reason,
        "remedy": rejection.remedy,
        "rejection": list(rejection.result),
    }
    log.warning("association_rejected", **detail)
    on_refused("association_rejected", detail)


def tell_of_abort(
    on_refused: OnRefused, reason: str, remedy: str, address: str, calling_ae_title: str = "", **facts: object
) -> None:
    """Log an association that ended before its release, and record its event by `on_refused`."""
    detail: dict[str, object] = {
        "calling_ae_title": calling_ae_title,
        "address": address,
        "reason": reason,
        "remedy": remedy,
        **facts,
    }
    log.warning("association_aborted", **detail)
    on_refused("association_aborted", detail)
