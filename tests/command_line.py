"""The command `glam-node`, run in the process of the test."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import structlog
import typer.testing
from typer.testing import CliRunner, Result

from glam_node.node.cli.main import app
from tests.observed import see

# The commands are always the same; to make them from their functions takes longer than most of them do.
typer.testing._get_command = cache(typer.testing._get_command)  # type: ignore[attr-defined]

THRESHOLD = "glam_node.inference.threshold:ThresholdPredictor"


def glam_node(*arguments: str | Path, expect: int | None = 0, text: str = "", **environment: str) -> Result:
    """Run the command with `text` as input and return its result; fail if the exit code is not `expect` (None: any)."""
    cleared = {name: None for name in os.environ if name.upper().startswith("GLAM_NODE")}
    see([str(one) for one in arguments], environment, Path.cwd())
    with _logging_as_before():
        result = CliRunner().invoke(app, [str(one) for one in arguments], input=text, env={**cleared, **environment})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert expect in (None, result.exit_code), result.output
    return result


@contextmanager
def _logging_as_before() -> Iterator[None]:
    """Restore the logging configuration after the command."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    try:
        yield
    finally:
        root.handlers, root.level = handlers, level
        logging.captureWarnings(False)
        structlog.reset_defaults()
