"""The command `glam-node init`, which writes a settings file."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from glam_node.node.cli.application import EXIT_FINDING

_SENDER = re.compile(r"(?P<ae_title>[^@]+)(@(?P<host>[^@]+))?")
_ARCHIVE = re.compile(r"(?P<ae_title>[^@]+)@(?P<host>.+):(?P<port>\d+)")


def _parsed(pattern: re.Pattern[str], form: str, text: str) -> dict[str, str]:
    found = pattern.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter(f'"{text}" does not have the form {form}.')
    return {name: value for name, value in found.groupdict().items() if value}


def _valid_ae_title(text: str) -> str:
    """Return the AE title of this node if it is valid.

    Raises:
        typer.BadParameter: The AE title is not valid; the prompt then asks again.
    """
    _require_valid({"node": {"ae_title": text}})
    return text


def _valid_sender(text: str) -> str:
    """Return the sender, written as AE@HOST or AE, if it is valid; raise typer.BadParameter otherwise."""
    sender = _parsed(_SENDER, "AE@HOST or AE", text)
    hosts = [sender["host"]] if "host" in sender else []
    _require_valid({"peers": {"pacs": {"ae_title": sender["ae_title"], "hosts": hosts}}})
    return text


def _valid_archive(text: str) -> str:
    """Return the archive, written as AE@HOST:PORT, if it is valid; raise typer.BadParameter otherwise."""
    receiver = _parsed(_ARCHIVE, "AE@HOST:PORT", text)
    _require_valid({"destinations": {"archive": {**receiver, "port": int(receiver["port"])}}})
    return text


def _require_valid(tree: dict[str, Any]) -> None:
    from glam_node.settings.load import problems_of

    problems = problems_of(tree)
    if problems:
        raise typer.BadParameter("; ".join(str(problem) for problem in problems))


def init(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")] = Path("node.toml"),
    ae_title: Annotated[
        str,
        typer.Option(
            prompt="AE title of this node",
            callback=_valid_ae_title,
            help="Set the AE title under which the PACS calls this node.",
        ),
    ] = "GLAMNODE",
    port: Annotated[
        int, typer.Option(prompt="TCP port to listen on", min=1, max=65535, help="Listen on this TCP port.")
    ] = 11112,
    pacs: Annotated[
        str,
        typer.Option(
            prompt="Sender of studies, as AE@HOST or AE",
            callback=_valid_sender,
            help="Accept studies from this sender: AE title, and address or network.",
        ),
    ] = "PACS",
    archive: Annotated[
        str,
        typer.Option(
            prompt="Where results go, as AE@HOST:PORT",
            callback=_valid_archive,
            help="Send results to this archive: AE title, address and port.",
        ),
    ] = "ARCHIVE@127.0.0.1:104",
    storage: Annotated[
        Path,
        typer.Option(
            prompt="Directory for images and results",
            help="Store images and results in this directory, on a local disk with enough space.",
        ),
    ] = Path("var/glam-node"),
) -> None:
    """Write a commented settings file. Values come from your answers to a few questions, or from options."""
    from glam_node.settings.load import SettingsError, load_settings
    from glam_node.settings.reference import commented_file

    if path.exists():
        raise typer.BadParameter(f"{path} exists. Name another file, or move this one away.")
    sender = _parsed(_SENDER, "AE@HOST or AE", pacs)
    receiver = _parsed(_ARCHIVE, "AE@HOST:PORT", archive)
    chosen: dict[tuple[str, ...], Any] = {
        ("node", "ae_title"): ae_title,
        ("node", "port"): port,
        ("storage", "root"): str(storage),
        ("peers", "pacs", "ae_title"): sender["ae_title"],
        ("peers", "pacs", "hosts"): [sender["host"]] if "host" in sender else [],
        ("destinations", "archive", "ae_title"): receiver["ae_title"],
        ("destinations", "archive", "host"): receiver["host"],
        ("destinations", "archive", "port"): int(receiver["port"]),
    }
    with path.open("x", encoding="utf-8") as file:
        file.write(commented_file(chosen))
    try:
        load_settings(path, {})
    except SettingsError as error:
        path.unlink()
        for problem in error.problems:
            typer.echo(str(problem), err=True)
        raise typer.Exit(EXIT_FINDING) from None
    typer.echo(f"{path} is written; a comment explains every key.")
    typer.echo(f"Next: run `glam-node --settings {path} doctor`, then `serve`.")
    typer.echo(
        f"Route studies from {sender['ae_title']} to {ae_title}, port {port}, and let {receiver['ae_title']} accept "
        f"C-STORE from {ae_title}."
    )
