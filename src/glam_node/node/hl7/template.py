"""Templates of HL7 messages: Jinja2 with every value escaped for HL7, one segment a line."""

import re
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from glam_node.node.errors import PermanentError
from glam_node.node.hl7.text import ENCODING_CHARACTERS, FIELD, escape

_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}\|")
_UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_FILE = "<template>"
"""The name that Jinja2 gives to a template without a file, in tracebacks."""


class TemplateProblem(PermanentError):
    """A template that cannot be used; the message names the line and the cause, and no value of a patient."""


def read_template(path: Path) -> str:
    """Return the text of a template file; raise TemplateProblem if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise TemplateProblem(f"it cannot be read: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise TemplateProblem(f"it is not UTF-8: byte {error.start}. Save it as UTF-8") from None


def render(source: str, values: Mapping[str, Any]) -> list[str]:
    """Return the segments of a message.

    Args:
        source: Text of the template; each line that is not blank becomes one segment.
        values: Values by the names that the template uses.

    Raises:
        TemplateProblem: The template has a mistake, or its lines are no segments of an HL7 message.
    """
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, finalize=escape, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    try:
        text = environment.from_string(source).render(values)
    except TemplateSyntaxError as error:
        raise TemplateProblem(f"line {error.lineno}: {error.message}") from None
    except Exception as error:
        # Only Jinja2's own errors are sure to quote the template and not a value, which may be a patient's.
        cause = str(error) if isinstance(error, TemplateError) else f"{type(error).__name__} while it is filled in"
        raise TemplateProblem(f"line {_line_of(error.__traceback__)}: {cause}") from None
    return _segments(text)


def _line_of(trace: TracebackType | None) -> int:
    return next((frame.lineno or 0 for frame in traceback.extract_tb(trace) if frame.filename == _FILE), 0)


def _segments(text: str) -> list[str]:
    segments = _lines(text)
    if not segments or not segments[0].startswith(f"MSH{FIELD}{ENCODING_CHARACTERS}{FIELD}"):
        raise TemplateProblem(f"the first segment must begin with MSH{FIELD}{ENCODING_CHARACTERS}{FIELD}")
    for number, segment in enumerate(segments, start=1):
        if not _SEGMENT.match(segment):
            shown = re.sub(r"[^ -~]", "?", segment[:3])
            raise TemplateProblem(f"segment {number} of the message begins with {shown!r} and not with a name and |")
        if _UNFIT.search(segment):
            raise TemplateProblem(f"segment {number} of the message contains a control character")
    return segments


def _lines(text: str) -> list[str]:
    """Return the lines that are not blank; other than str.splitlines, only LF and CR end a line."""
    return [line.strip(" \t") for line in re.split(r"[\r\n]+", text) if line.strip(" \t")]
