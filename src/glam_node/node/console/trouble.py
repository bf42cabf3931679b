"""What a browser sees when something cannot be shown: what, where, and what to do."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from glam_node.node.console.rendering import Screens
from glam_node.node.errors import NodeError

_NOTHING_HERE = "There is no such page. The link may be of an older version; the navigation leads to what is there."


def answer(screens: Screens, request: Request, error: Exception) -> Response:
    """A page for a browser, a line for anything else."""
    if isinstance(error, HTTPException):
        status, words = error.status_code, error.detail
    else:
        status, words = 503, str(error)
    phrase = HTTPStatus(status).phrase
    if status == 404 and words == phrase:
        words = _NOTHING_HERE
    headers = getattr(error, "headers", None)
    if "text/html" not in request.headers.get("Accept", ""):
        return PlainTextResponse(f"{words}\n", status, headers)
    response = screens.render(request, "trouble", status=status, phrase=phrase, words=words, code=status)
    response.headers.update(headers or {})
    return response


TROUBLES = (HTTPException, NodeError)
"""What is answered so."""
