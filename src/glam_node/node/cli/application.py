"""Code that all commands share: options, settings, output, error messages and exit codes."""

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from glam_node.inference.errors import InferenceError
from glam_node.node.errors import NodeError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from glam_node.inference.findings import Findings
    from glam_node.node.bootstrap import Node
    from glam_node.node.db.engine import SessionFactory
    from glam_node.settings.schema import Settings

SETTINGS_VARIABLE = "GLAM_NODE_SETTINGS"
EXIT_FINDING = 1
"""Exit code when a person must act on something."""
EXIT_WRONG_USE = 2
WIDTH_OF_FILES = 240
"""Line width, in characters, of output that does not go to a terminal."""

SettingsOption = Annotated[
    Path | None,
    typer.Option(
        "--settings", metavar="FILE", help=f"Read the settings from this file.  [env var: {SETTINGS_VARIABLE}]"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
OutOption = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="Write to this directory; it is created if needed.")
]


class Commands(TyperGroup):
    """A group of commands that prints expected errors as one message instead of a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; exit with 2 if the settings cannot be used, and with 1 after another expected error."""
        try:
            return super().invoke(ctx)
        except (NodeError, InferenceError) as error:
            failure = str(error)
        except BrokenPipeError:
            # The program that reads our output, for example `head`, closed the pipe.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except OSError as error:
            failure = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        except Exception as error:
            if not _is_settings_error(error):
                raise
            print_problems(error)
            raise typer.Exit(EXIT_WRONG_USE) from None
        print_error(failure)
        raise typer.Exit(EXIT_FINDING)


def _is_settings_error(error: Exception) -> bool:
    """Return whether the settings cannot be used, without importing the settings, so that `--help` stays fast."""
    load = sys.modules.get("glam_node.settings.load")
    return load is not None and isinstance(error, load.SettingsError)


def command_settings(
    ctx: typer.Context, path: Path | None, level: Literal["warning", "error"] = "warning"
) -> "Settings":
    """Load the settings of the command, and configure the log to print messages of this severity and above as text.

    Raises:
        SettingsError: The settings cannot be read or are not valid.
    """
    from glam_node.node.observe import logs
    from glam_node.settings.load import load_settings
    from glam_node.settings.reference import secrets_in

    settings = load_settings(settings_path(ctx, path), os.environ)
    logs.configure(level, "console", secrets_in(settings))
    return settings


def settings_path(ctx: typer.Context, path: Path | None) -> Path | None:
    """Return the settings file of the command, or that of `glam-node`, or that of GLAM_NODE_SETTINGS, in this order."""
    given: Path | None = path or ctx.find_root().obj
    return given


def reading_sessions(ctx: typer.Context, settings: "Settings") -> "SessionFactory":
    """Open the database of the node for reading, and close it when the command ends.

    Raises:
        PermanentError: The database does not exist, or its schema is not that of this version.
    """
    from glam_node.node.bootstrap import database_trouble
    from glam_node.node.bootstrap.base_node import lost_database
    from glam_node.node.db import migrate
    from glam_node.node.db.engine import database_url, open_database, reading
    from glam_node.node.errors import PermanentError
    from glam_node.node.storage.root import missing_marker
    from glam_node.settings.urls import without_password

    url = database_url(settings.database_url, settings.storage.root)
    with database_trouble(settings):
        revision = migrate.revision_at(url)
        if revision != migrate.newest():
            if not revision and (lost := lost_database(settings)):
                raise PermanentError(lost)
            cause = "" if revision or settings.database_url else missing_marker(settings.storage.root)
            trouble = _unusable(without_password(url), revision, older=migrate.knows(revision))
            raise PermanentError(f"{cause} {trouble}".strip())
        sessions = open_database(url)
    ctx.call_on_close(sessions.kw["bind"].dispose)
    return reading(sessions)


def _unusable(url: str, revision: str, *, older: bool) -> str:
    """Return why a database without the schema of this version cannot be used, and what to do."""
    if not revision:
        return (
            f"There is no database of glam-node at {url}. `glam-node serve` creates it; if the node has run before, "
            "check --settings, storage.root and database_url."
        )
    if older:
        return f"The database at {url} is of an older version of glam-node. `glam-node serve` upgrades it."
    return f"The database at {url} is of a newer version of glam-node (schema {revision}). Use that version."


def command_node(ctx: typer.Context, settings: "Settings") -> "Node":
    """Build the node with a writable database, and close the database when the command ends.

    Raises:
        PermanentError: The database does not exist, or its schema is not that of this version.
    """
    reading_sessions(ctx, settings)
    from glam_node.node.bootstrap import build_node

    node = build_node(settings)
    ctx.call_on_close(node.sessions.kw["bind"].dispose)
    return node


def text_output() -> "Console":
    """Return a rich console for results, which prints square brackets unchanged.

    Lines of output to a file or a pipe are WIDTH_OF_FILES characters wide.
    """
    from rich.console import Console

    out = Console(highlight=False, markup=False, emoji=False)
    return out if out.is_terminal else Console(highlight=False, markup=False, emoji=False, width=WIDTH_OF_FILES)


def folding_table(columns: Iterable[str], title: str | None = None) -> "Table":
    """Return an empty table that breaks long cells into lines instead of cutting them off."""
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def print_scores(findings: "Findings", out: "Console") -> None:
    """Print the name of the algorithm and one row of scores per image."""
    from rich.table import Table

    from glam_node.node.workflow.operate.study_description import algorithm_label, scores

    out.print(f"  {algorithm_label(findings)}")
    table = Table("view", "malignant", "benign", "findings", "remark")
    for row in scores(findings):
        shown = ["-" if row[key] is None else f"{row[key]:.3f}" for key in ("malignant_score", "benign_score")]
        table.add_row(row["view"], *shown, str(row["findings"]), row["failure"] or "; ".join(row["remarks"]))
    out.print(table)


def print_json(value: Any) -> None:
    """Print a value as one JSON document on standard output."""
    typer.echo(json.dumps(value, indent=2, default=str))


def print_error(message: str) -> None:
    """Print one error line on standard error, with passwords masked."""
    from glam_node.node.observe.logs import without_secrets

    typer.secho(f"Error: {without_secrets(message)}", fg=typer.colors.RED, err=True)


def print_problems(error: Any) -> None:
    """Print every mistake in the settings to standard error, one per line.

    Args:
        error: A SettingsError.
    """
    from glam_node.settings.problems import explanation

    print_error(f"The settings cannot be used{f': {error.source}' if error.source else ''}")
    for problem in error.problems:
        typer.echo(f"  {problem}", err=True)
    if told := explanation(error.problems):
        typer.echo(told, err=True)


def output_directory(directory: Path) -> Path:
    """Return the directory; create it if needed.

    Raises:
        typer.BadParameter: The directory cannot be created, or files cannot be written to it.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise typer.BadParameter(
            f"directory {directory} cannot be created: {error.strerror}.", param_hint="--out"
        ) from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise typer.BadParameter(f"you have no permission to write to directory {directory}.", param_hint="--out")
    return directory
