"""The command `glam-node settings`, which checks, shows, explains and reloads the settings."""

import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glam_node.node.cli.application import (
    EXIT_FINDING,
    EXIT_WRONG_USE,
    JsonOption,
    SettingsOption,
    command_settings,
    print_error,
    print_json,
    print_problems,
    settings_path,
    text_output,
)
from glam_node.node.domain.words import counted

if TYPE_CHECKING:
    from glam_node.settings.problems import Problem
    from glam_node.settings.schema import Settings

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Check, show, explain and reload the settings.")

ANSWER_S = 160.0
POLL_S = 0.1


class Format(StrEnum):
    """The output format of `settings explain`."""

    TEXT = "text"
    MARKDOWN = "markdown"
    TOML = "toml"


@app.command()
def check(ctx: typer.Context, settings: SettingsOption = None, as_json: JsonOption = False) -> None:
    """Check the settings and the files that they name, and list every mistake. Exit with 1 if there is one."""
    from glam_node.node.cli.checks_of_files import file_problems
    from glam_node.settings.ineffective import without_effect
    from glam_node.settings.load import SettingsError, former_keys_in, load_settings
    from glam_node.settings.problems import mistyped_variables

    path = settings_path(ctx, settings)
    try:
        configured = load_settings(path, os.environ)
        problems, warnings = file_problems(configured)
        warnings += former_keys_in(path, os.environ)
        warnings += (*mistyped_variables(os.environ), *without_effect(configured))
        if problems:
            raise SettingsError(problems, path)
    except SettingsError as error:
        if as_json:
            print_json({"settings": _source(path), "valid": False, "problems": _told(error.problems)})
        else:
            print_problems(error)
        raise typer.Exit(EXIT_FINDING) from None
    if as_json:
        told = {"warnings": _told(warnings)} if warnings else {}
        print_json({"settings": _source(path), "valid": True, "problems": [], **told})
        return
    typer.echo(f"ok  {_source(path)}")
    for warning in warnings:
        typer.echo(f"warn  {warning}", err=True)


def _told(problems: "tuple[Problem, ...]") -> list[dict[str, str]]:
    return [{"key": problem.key, "message": problem.message} for problem in problems]


@app.command()
def show(ctx: typer.Context, settings: SettingsOption = None, as_json: JsonOption = False) -> None:
    """Show the settings in force, from file and environment, with passwords hidden."""
    configured = command_settings(ctx, settings)
    from glam_node.settings.digest import settings_digest
    from glam_node.settings.reference import in_force, masked

    if as_json:
        print_json({**masked(configured), "settings_digest": settings_digest(configured)})
    else:
        typer.echo(f"# {_source(settings_path(ctx, settings))}, digest {settings_digest(configured)}")
        typer.echo(in_force(configured), nl=False)


@app.command()
def explain(
    key: Annotated[str, typer.Argument(help="A key or a section, such as node.port or peers. Default: all keys.")] = "",
    format: Annotated[
        Format,
        typer.Option(help="Print text, markdown (the settings reference) or toml (a commented file to start from)."),
    ] = Format.TEXT,
) -> None:
    """Explain every setting: allowed values, default and environment variable."""
    from glam_node.settings import reference

    if format is Format.TOML:
        typer.echo(reference.commented_file(), nl=False)
    elif format is Format.MARKDOWN:
        typer.echo(reference.reference(), nl=False)
    else:
        _explain(key)


def _explain(wanted: str) -> None:
    from glam_node.settings.keys import generic, keys

    path = generic(tuple(wanted.split("."))) if wanted else ()
    found = [key for key in keys().values() if key.path[: len(path)] == path]
    if not found:
        raise typer.BadParameter(f"there is no setting {wanted}; `glam-node settings explain` lists all.")
    out = text_output()
    for key in found:
        default = "required" if key.required else f"default {_shown(key.default)}"
        out.print(f"{key.dotted}  ({default})", style="bold")
        out.print(f"    {key.description}")
        out.print(f"    Allowed: {key.allowed}. Environment: {key.environment_variable}")
        if key.kinds:
            noun = "source" if key.path[0] == "sources" else "destination"
            out.print(f"    Kinds of {noun} that have it: {', '.join(key.kinds)}")


def _shown(default: object) -> str:
    return "unset" if default is None else f'"{default}"' if isinstance(default, str) else str(default).lower()


def _source(path: Path | None) -> str:
    variables = [name for name in os.environ if name.upper().startswith("GLAM_NODE__")]
    file = str(path) if path else "no settings file, all defaults"
    return f"{file} and {counted(len(variables), 'environment variable')}" if variables else file


@app.command()
def diff(ctx: typer.Context, settings: SettingsOption = None, as_json: JsonOption = False) -> None:
    """Show what `settings reload` would change. It also names the keys that need a restart."""
    configured = command_settings(ctx, settings)
    from glam_node.node.run.live_settings import change_as_json
    from glam_node.settings.reload import changes, reloaded

    in_force = _in_force(configured)
    reloaded(in_force, configured)
    found = [change_as_json(change) for change in changes(in_force, configured)]
    if as_json:
        print_json(found)
    else:
        _tell(found, in_force)


@app.command()
def reload(ctx: typer.Context, settings: SettingsOption = None, as_json: JsonOption = False) -> None:
    """Reload the settings of the running node. The answer says for every changed key when it takes effect.

    A file with a mistake changes nothing: all mistakes are listed, and the exit code is 2. The command waits until the
    processes that the changes concern use them; if one refuses the settings, nothing changes, the reason is shown, and
    the exit code is 1.
    """
    configured = command_settings(ctx, settings)
    from glam_node.node.run.live_settings import ask_to_reload, last_reload

    root = configured.storage.root
    process_id, before = _node_of(root), last_reload(root).get("reload", 0)
    ask_to_reload(process_id)
    told = _answer(root, before)
    if as_json:
        print_json(told)
    elif told["problems"]:
        print_error("The node rejected the settings and keeps its current ones")
        for problem in told["problems"]:
            typer.echo(f"  {problem['key']}: {problem['message']}".replace(": :", ":"), err=True)
    elif not _tell_refusals(told["processes"]):
        _tell(told["changes"], configured)
        if told["processes"]:
            typer.echo(f"applied by {', '.join(told['processes'])}")
    if told["problems"]:
        raise typer.Exit(EXIT_WRONG_USE)
    if any(told["processes"].values()):
        raise typer.Exit(EXIT_FINDING)


def _tell_refusals(processes: dict[str, str]) -> bool:
    refusals = {name: reason for name, reason in processes.items() if reason}
    for name, reason in refusals.items():
        print_error(f"The {name} rejected the settings, and the node keeps its current ones: {reason}")
    return bool(refusals)


def _tell(changes: list[dict[str, Any]], settings: "Settings") -> None:
    results = _waiting_results(settings) if any(change["after"] is None for change in changes) else {}
    for change in changes:
        count = results.get(change["key"], 0) if change["after"] is None else 0
        kept = f"; until a section of that name is back, the node keeps {counted(count, 'result')} for it"
        typer.echo(change["text"] + (kept if count else ""))
    waiting = sum(not change["in_force"] for change in changes)
    at_once = len(changes) - waiting
    typer.echo(
        f"{at_once} at once, {waiting} after a restart"
        if changes
        else "The settings file is the same as the settings in force."
    )


def _waiting_results(settings: "Settings") -> dict[str, int]:
    """Return the number of waiting results by the key of their destination; empty if the database does not answer."""
    from glam_node.node.bootstrap import database_trouble
    from glam_node.node.db.database_status import read_status
    from glam_node.node.db.engine import database_url
    from glam_node.node.errors import NodeError

    with suppress(NodeError), database_trouble(settings):
        found = read_status(database_url(settings.database_url, settings.storage.root), datetime.now(UTC))
        return {f"destinations.{name}": count for name, count in (found.waiting_deliveries or {}).items()}
    return {}


def _node_of(root: Path) -> int:
    """Return the ID of the process that serves this storage root.

    Raises:
        PermanentError: No node runs on the storage root.
    """
    from glam_node.node.cli.checks import serving_process
    from glam_node.node.errors import PermanentError
    from glam_node.node.storage.root import missing_marker

    serving = serving_process(root)
    if not serving.isdigit():
        raise PermanentError(
            missing_marker(root)
            or f"No node runs on storage.root {root.absolute()}: `glam-node serve` reads the settings when it starts. "
            "A `glam-node worker` on another host reads its own file again on SIGHUP."
        )
    return int(serving)


def _answer(root: Path, before: int) -> dict[str, Any]:
    """Wait until the node has answered a reload with a number greater than `before`, and return the answer.

    Raises:
        TransientError: The node did not answer in time.
    """
    from glam_node.node.errors import TransientError
    from glam_node.node.run.live_settings import last_reload

    deadline = time.monotonic() + ANSWER_S
    while (told := last_reload(root)).get("reload", 0) <= before:
        if time.monotonic() > deadline:
            raise TransientError(f"The node did not answer within {ANSWER_S:.0f} s. See the log of `glam-node serve`.")
        time.sleep(POLL_S)
    return told


def _in_force(configured: "Settings") -> "Settings":
    from glam_node.node.run.live_settings import settings_in_force

    _node_of(configured.storage.root)
    return settings_in_force(configured)
