"""The command `glam-node echo`, which checks the connection to a destination or a source."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from glam_node.node.cli.application import EXIT_FINDING, JsonOption, SettingsOption, command_settings, print_json

if TYPE_CHECKING:
    from glam_node.node.scu.echo import EchoOutcome
    from glam_node.settings.schema import Settings


def echo(
    ctx: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="The NAME of a [destinations.NAME] or [sources.NAME] section; sources.NAME if both have it.",
        ),
    ],
    settings: SettingsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check that a destination answers and accepts this node, or that a source answers and would send studies."""
    configured = command_settings(ctx, settings)
    kind, plain = _named(name, configured)
    report = _report(kind, plain, configured)
    if as_json:
        print_json({kind: plain, **asdict(report)})
    else:
        typer.echo(f"{'ok' if report.ok else 'FAIL'}  {report.message} ({report.milliseconds:.0f} ms)")
    if not report.ok:
        raise typer.Exit(EXIT_FINDING)


def _named(name: str, configured: "Settings") -> tuple[str, str]:
    """Return "destination" or "source", and the NAME of its section."""
    section, dot, rest = name.partition(".")
    plain = rest if dot else name
    if section != "sources" and plain in configured.destinations:
        return "destination", plain
    if section != "destinations" and plain in configured.sources:
        return "source", plain
    names = ", ".join([*configured.destinations, *configured.sources]) or "none"
    raise typer.BadParameter(f"the settings have no [destinations.{plain}] or [sources.{plain}]; they have: {names}.")


def _report(kind: str, name: str, configured: "Settings") -> "EchoOutcome":
    from glam_node.node.scu.echo import echo as ask
    from glam_node.node.scu.echo import timed

    if kind == "destination":
        return ask(name, configured.destinations[name], configured.node.ae_title)
    from glam_node.node.bootstrap import built_source

    return timed(built_source(name, configured).check)
