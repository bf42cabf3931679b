"""Error pages: the problem, the page on which it occurred, and the remedy."""

from http import HTTPStatus

from sqlalchemy.exc import DatabaseError, InterfaceError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from glam_node.node.bootstrap import database_trouble
from glam_node.node.console.rendering import Renderer
from glam_node.node.errors import NodeError

_NOTHING_HERE = "There is no such page. The link may come from an older version; use the navigation to find the page."


def error_page(renderer: Renderer, request: Request, error: Exception) -> Response:
    """Return the error as a page for a browser, or as a line of text for other clients."""
    status, words = (
        (error.status_code, error.detail) if isinstance(error, HTTPException) else (503, _message(renderer, error))
    )
    phrase = HTTPStatus(status).phrase
    if status == 404 and words == phrase:
        words = _NOTHING_HERE
    headers = getattr(error, "headers", None)
    if "text/html" not in request.headers.get("Accept", ""):
        return PlainTextResponse(f"{words}\n", status, headers)
    # A study that was not found has no page to go back to.
    uid = request.path_params.get("study_instance_uid", "") if status != 404 else ""
    response = renderer.render(
        request, "error", status=status, phrase=phrase, words=words, code=status, study_instance_uid=uid
    )
    response.headers.update(headers or {})
    return response


def _message(renderer: Renderer, error: Exception) -> str:
    """Return the message that other parts of the node show for the error."""
    try:
        with database_trouble(renderer.node.settings):
            raise error
    except NodeError as trouble:
        return str(trouble)


HANDLED = (HTTPException, NodeError, DatabaseError, InterfaceError)
"""The exceptions that `error_page` handles."""
