"""The command `glam-node echo`, which checks the connection to a destination."""

from dataclasses import asdict
from typing import Annotated

import typer

from glam_node.node.cli.application import EXIT_FINDING, JsonOption, SettingsOption, command_settings, print_json


def echo(
    ctx: typer.Context,
    destination: Annotated[
        str, typer.Argument(metavar="DESTINATION", help="The NAME of a [destinations.NAME] section.")
    ],
    settings: SettingsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check that a destination answers and accepts this node."""
    configured = command_settings(ctx, settings)
    if destination not in configured.destinations:
        names = ", ".join(configured.destinations) or "none"
        raise typer.BadParameter(f"the settings have no [destinations.{destination}]; they have: {names}.")
    from glam_node.node.scu.echo import echo as ask

    report = ask(destination, configured.destinations[destination], configured.node.ae_title)
    if as_json:
        print_json({"destination": destination, **asdict(report)})
    else:
        typer.echo(f"{'ok' if report.ok else 'FAIL'}  {report.message} ({report.milliseconds:.0f} ms)")
    if not report.ok:
        raise typer.Exit(EXIT_FINDING)
