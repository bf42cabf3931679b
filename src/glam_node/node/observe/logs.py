"""One event per line on standard error; libraries speak through the same lines, and only when something is wrong."""

import logging
import sys
from typing import Literal

import structlog
from structlog.typing import Processor

from glam_node.node.observe.privacy import mask_patients

OURS = ("glam_node", "__main__")
# pydicom warns of an invalid value by showing it, and that may be a name; what pynetdicom complains of, scu says in
# the operator's words.
_SILENT = frozenset({"pydicom", "pynetdicom"})
_MIGRATIONS = "alembic.runtime.migration"

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["console", "json"]


def configure(level: Level, format: Format) -> None:
    """Log from `level` up, for people ("console") or machines ("json"); what libraries say goes the same way."""
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
    _route(common, _rendering(format), level.upper())


def _rendering(format: Format) -> list[Processor]:
    """Tracebacks without the values of variables, which may be data sets."""
    if format == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    return [
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=24
        )
    ]


def _route(common: list[Processor], rendering: list[Processor], level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=common,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    handler.addFilter(_may_be_written)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for name in (*OURS, _MIGRATIONS):
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(True)


def _may_be_written(record: logging.LogRecord) -> bool:
    """Whatever levels a library sets: below WARNING it dumps data sets (pynetdicom) and rows (sqlalchemy)."""
    family = record.name.partition(".")[0]
    if record.name == "py.warnings":
        return "pydicom" not in record.getMessage().partition("Warning:")[0]
    if record.levelno < logging.WARNING:
        return family in OURS or (record.name == _MIGRATIONS and record.getMessage().startswith("Running"))
    return family not in _SILENT
