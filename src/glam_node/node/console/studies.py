"""The list of studies."""

from starlette.requests import Request
from starlette.responses import Response

from glam_node.node.console.rendering import Screens
from glam_node.node.db import studies
from glam_node.node.workflow.description import summary

_SHOWN = 100


def page(screens: Screens, request: Request) -> Response:
    """The studies that received something last."""
    with screens.sessions() as session:
        rows = [summary(study) for study in studies.recent(session, _SHOWN)]
        counts = {str(state): count for state, count in studies.counts_by_state(session).items()}
    return screens.render(request, "studies", studies=rows, counts=counts)
