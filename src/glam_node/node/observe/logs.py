"""Log lines on standard error, one event each, without patient data; libraries log there as well, from WARNING up."""

import logging
import re
import sys
import threading
import traceback
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from pathlib import PurePath
from types import TracebackType
from typing import Any, Literal, TextIO
from uuid import UUID

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from glam_node.inference.errors import InferenceError
from glam_node.node.errors import NodeError

OWN_LOGGERS = ("glam_node",)
# Warnings of pydicom show invalid values, which may be names. The errors that pynetdicom logs are logged by the modules
# of scu in better words. fpdf and fontTools name the characters that a font lacks, which may be those of a name.
_SILENCED = frozenset({"pydicom", "pynetdicom", "fpdf", "fontTools"})
_MIGRATIONS = "alembic.runtime.migration"

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["console", "json"]

MASK = "***"

# Keywords of PS3.6, letters only, so that patient_name, PatientName and "Patient's Name" match the same.
_FORBIDDEN_KEY = re.compile(
    r"patient.*|issuerofpatientid|otherpatient.*|accessionnumber|.*physician.*name|operatorsname|.*birth.*"
    r"|studydescription|admissionid|studyid|personname|.*password|.*secret|ethnicgroup|occupation"
)
_ALLOWED_KEYS = frozenset({"patientorientation"})
_PLAIN_TYPES = (str, bool, int, float, date, datetime, timedelta, PurePath, UUID)

SHORTEST_SECRET = 6
"""Minimum length in characters of a secret that is hidden; a shorter one occurs in ordinary words."""
_secrets: list[re.Pattern[str]] = []


def configure(level: Level, format: Format, secrets: Iterable[str] = ()) -> None:
    """Configure logging of this process, including libraries.

    Args:
        level: The lowest level that is logged; libraries log from WARNING up.
        format: "console" for people, "json" for machines.
        secrets: Texts that no line may show.
    """
    long_enough = sorted({one for one in secrets if len(one) >= SHORTEST_SECRET}, key=len, reverse=True)
    _secrets[:] = [re.compile("|".join(map(re.escape, long_enough)))] if long_enough else []
    common: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
        mask_patients,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *common,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    _install_handler(common, _renderers(format), level.upper())


def without_secrets(text: str) -> str:
    """Return the text with *** in place of every secret that was passed to `configure`."""
    return _secrets[0].sub(MASK, text) if _secrets else text


def guard_tracebacks() -> None:
    """Hide secrets in the tracebacks of uncaught exceptions in this process."""

    def write(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            sys.stderr.write(without_secrets(f"{traceback_of(error.with_traceback(trace))}\n"))
        else:
            sys.stderr.write(f"{kind.__qualname__}\n")

    sys.excepthook = write
    threading.excepthook = lambda thread: write(thread.exc_type, thread.exc_value, thread.exc_traceback)


def message_without_values(error: BaseException) -> str:
    """Return the message of an error of glam-node or of the operating system; empty for an error of a library.

    A message of a library may quote a value, and a value may be a patient's name.
    """
    if isinstance(error, NodeError | InferenceError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return ""


def traceback_of(error: BaseException) -> str:
    """Return the traceback of an error and of its causes, without messages of libraries.

    `message_without_values` decides which messages are shown.
    """
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    before = f"{traceback_of(cause)}\n\nThis led to:\n\n" if cause is not None else ""
    frames = "".join(traceback.format_tb(error.__traceback__))
    last = ": ".join(filter(None, (type(error).__qualname__, message_without_values(error))))
    return f"{before}Traceback (most recent call last):\n{frames}{last}"


def _write_traceback(out: TextIO, exc_info: tuple[type[BaseException], BaseException, TracebackType | None]) -> None:
    out.write(f"\n{traceback_of(exc_info[1])}")


def _renderers(format: Format) -> list[Processor]:
    """Return the processors that render an event."""
    if format == "json":
        rendered = structlog.processors.ExceptionRenderer(lambda exc_info: traceback_of(exc_info[1]))
        return [rendered, structlog.processors.JSONRenderer(default=str)]
    return [
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            exception_formatter=_write_traceback,
            pad_event_to=24,
        )
    ]


def _install_handler(common: list[Processor], rendering: list[Processor], level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=common,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering, _hide_secrets],
        )
    )
    handler.addFilter(_is_wanted)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for name in (*OWN_LOGGERS, _MIGRATIONS):
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(True)


def _hide_secrets(_logger: WrappedLogger, _method: str, rendered: EventDict | str) -> str:
    return without_secrets(str(rendered))


def _is_wanted(record: logging.LogRecord) -> bool:
    """Return whether to write a record; below WARNING libraries dump data sets (pynetdicom) and rows (sqlalchemy)."""
    family = record.name.partition(".")[0]
    if record.name == "py.warnings":
        return "pydicom" not in record.getMessage().partition("Warning:")[0]
    if record.levelno < logging.WARNING:
        return family in OWN_LOGGERS or (record.name == _MIGRATIONS and record.getMessage().startswith("Running"))
    return family not in _SILENCED


def mask_patients(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    """Mask values under forbidden keys, and replace objects by their type (a structlog processor)."""
    return {key: value if key == "exc_info" else _masked(key, value) for key, value in event_dict.items()}


def _masked(key: object, value: Any) -> Any:
    name = re.sub(r"[^a-z]", "", str(key).lower())
    if _FORBIDDEN_KEY.fullmatch(name) and name not in _ALLOWED_KEYS:
        return MASK
    if isinstance(value, Mapping) and type(value).__module__ == "builtins":
        return {inner: _masked(inner, content) for inner, content in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked("", content) for content in value]
    if value is None or isinstance(value, _PLAIN_TYPES):
        return value
    return f"<{type(value).__name__}>"
