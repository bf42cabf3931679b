"""Rendering of pages: the templates, the values for all templates, and the formats of values."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.templating import Jinja2Templates

from glam_node.node.bootstrap import Node
from glam_node.node.console.identity_access_log import IdentityAccessLog
from glam_node.node.db.engine import reading
from glam_node.node.domain.words import counted, date, person_name

TEMPLATES = Path(__file__).parent / "templates"

NAVIGATION = (
    ("/", "Studies"),
    ("/queue", "Queue"),
    ("/destinations", "Destinations"),
    ("/refusals", "Refusals"),
    ("/rules", "Rules"),
)
"""The path and name of each page in the navigation."""

_STEPS = ((86_400, "d"), (3_600, "h"), (60, "min"))
_UNITS = ("B", "KB", "MB", "GB")


class Renderer:
    """The renderer of whole pages, and of the live parts with which open pages refresh themselves."""

    def __init__(self, node: Node, now: Callable[[], datetime]) -> None:
        self.node = node
        self.now = now
        self.access_log = IdentityAccessLog(node, now)
        self.sessions = reading(node.sessions)
        """The factory of read-only database sessions."""
        self.templates = Jinja2Templates(directory=TEMPLATES, context_processors=[self._common_values])
        self.templates.env.filters.update(
            moment=moment,
            exact=exact,
            duration=duration,
            milliseconds=milliseconds,
            size=size,
            thousands=thousands,
            counted=counted,
            date=date,
            person_name=person_name,
        )
        self.templates.env.trim_blocks = self.templates.env.lstrip_blocks = True

    def render(self, request: Request, name: str, *, status: int = 200, **context: Any) -> Response:
        """Render the page `name`, or only its live part `_name.html` if the open page refreshes itself.

        Args:
            request: The browser's request.
            name: The file name of the template without `.html`.
            status: The HTTP status.
            context: Values for the template.
        """
        again = request.headers.get("HX-Request") == "true" and f"_{name}.html" in self.templates.env.list_templates()
        response = self.templates.TemplateResponse(
            request, f"_{name}.html" if again else f"{name}.html", context, status_code=status
        )
        response.headers["Vary"] = "HX-Request"
        return response

    def _common_values(self, request: Request) -> dict[str, Any]:
        visitor = getattr(request.state, "visitor", None)
        return {
            "visitor": visitor,
            "flash": getattr(request.state, "flash", None),
            "may_act": visitor is not None and visitor.may("act"),
            "navigation": NAVIGATION,
            "here": request.url.path,
            "now": self.now(),
        }


def moment(at: datetime) -> str:
    """Return a time in UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def exact(at: datetime) -> str:
    """Return a time in UTC, to the millisecond."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: "3 h 20 min"."""
    left = max(0, int(seconds))
    for number, (step, unit) in enumerate(_STEPS):
        if left >= step:
            smaller, its_unit = _STEPS[number + 1] if number + 1 < len(_STEPS) else (1, "s")
            rest = left % step // smaller
            return f"{left // step} {unit}" + (f" {rest} {its_unit}" if rest else "")
    return f"{left} s"


def milliseconds(seconds: float) -> str:
    """Return a duration in whole milliseconds."""
    return f"{thousands(round(seconds * 1000))} ms"


def size(count: float) -> str:
    """Return a number of bytes in a unit that keeps it short: "1.2 GB"."""
    for unit in _UNITS[:-1]:
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} {_UNITS[-1]}"


def thousands(count: int) -> str:
    """Return a number with narrow spaces between groups of three digits."""
    return f"{count:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
