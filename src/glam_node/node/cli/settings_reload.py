"""The commands `glam-node settings diff` and `reload`, which compare and apply a changed settings file."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from glam_node.node.cli.application import (
    EXIT_FINDING,
    EXIT_WRONG_USE,
    JsonOption,
    SettingsOption,
    complain,
    print_json,
    settings_of,
)

if TYPE_CHECKING:
    from glam_node.settings.schema import Settings

ANSWER_S = 30.0
POLL_S = 0.1


def diff(ctx: typer.Context, settings: SettingsOption = None, as_json: JsonOption = False) -> None:
    """Show what `settings reload` would change. It also names the keys that need a restart."""
    configured = settings_of(ctx, settings)
    from glam_node.node.run.live_settings import change_as_json
    from glam_node.settings.reload import changes, reloaded

    in_force = _in_force(configured)
    reloaded(in_force, configured)
    found = [change_as_json(change) for change in changes(in_force, configured)]
    if as_json:
        print_json(found)
    else:
        _tell(found)


def reload(ctx: typer.Context, settings: SettingsOption = None, as_json: JsonOption = False) -> None:
    """Reload the settings of the running node. The answer says for every changed key when it takes effect.

    A file with a mistake changes nothing: all mistakes are listed, and the exit code is 2. The command waits until
    every process has answered; where one refuses the settings the reason is shown, and the exit code is 1.
    """
    configured = settings_of(ctx, settings)
    from glam_node.node.run.live_settings import ask_to_reload, last_reload

    root = configured.storage.root
    process_id, before = _node_of(root), last_reload(root).get("reload", 0)
    ask_to_reload(process_id)
    told = _answer(root, before)
    if as_json:
        print_json(told)
    elif told["problems"]:
        complain("the node keeps the settings that it has")
        for problem in told["problems"]:
            typer.echo(f"  {problem['key']}: {problem['message']}".replace(": :", ":"), err=True)
    else:
        _tell(told["changes"])
        _tell_processes(told["processes"])
    if told["problems"]:
        raise typer.Exit(EXIT_WRONG_USE)
    if any(told["processes"].values()):
        raise typer.Exit(EXIT_FINDING)


def _tell_processes(processes: dict[str, str]) -> None:
    taken = ", ".join(name for name, reason in processes.items() if not reason)
    if taken:
        typer.echo(f"taken by {taken}")
    for name, reason in processes.items():
        if reason:
            complain(f"the {name} has not taken the settings and keeps those that it has: {reason}")


def _tell(changes: list[dict[str, Any]]) -> None:
    for change in changes:
        typer.echo(change["text"])
    waiting = sum(not change["in_force"] for change in changes)
    at_once = len(changes) - waiting
    typer.echo(f"{at_once} at once, {waiting} after a restart" if changes else "nothing is other than in force")


def _node_of(root: Path) -> int:
    """Return the ID of the process that serves this storage root.

    Raises:
        PermanentError: No node runs on it.
    """
    from glam_node.node.cli.checks import serving_process
    from glam_node.node.errors import PermanentError

    serving = serving_process(root)
    if not serving.isdigit():
        raise PermanentError(
            f"No node runs on storage.root {root.absolute()}: `glam-node serve` reads the settings when it starts. "
            "A `glam-node worker` of another host reads its own file anew on SIGHUP."
        )
    return int(serving)


def _answer(root: Path, before: int) -> dict[str, Any]:
    """Wait for the answer of the node to the reload after number `before`, and return it.

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
