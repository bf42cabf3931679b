"""`glam-node doctor`"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from glam_node.node.cli.application import (
    EXIT_FINDING,
    JsonOption,
    SettingsOption,
    print_json,
    settings_path,
)

if TYPE_CHECKING:
    from glam_node.node.cli.checks import Check
    from glam_node.settings.schema import Settings

COLORS = {"ok": typer.colors.GREEN, "warn": typer.colors.YELLOW, "FAIL": typer.colors.RED}


def doctor(ctx: typer.Context, settings: SettingsOption = None, as_json: JsonOption = False) -> None:
    """Check all that a node needs, one line each: ok, warn or FAIL, the fact, the remedy; exit code 1 on any FAIL."""
    from glam_node.node.observe import logs

    logs.configure("error", "console")
    done = []
    for check in _checks(settings_path(ctx, settings)):
        done.append(check)
        if not as_json:
            _print(check)
    if as_json:
        print_json(
            [{"check": c.name, "verdict": str(c.verdict), "fact": c.fact, "remedy": c.remedy} for c in done],
        )
    if any(check.verdict == "FAIL" for check in done):
        raise typer.Exit(EXIT_FINDING)


def _print(check: "Check") -> None:
    typer.secho(f"{check.verdict:5}", fg=COLORS[check.verdict], nl=False)
    typer.echo(f"{check.name:22} {check.fact}")
    if check.remedy:
        typer.echo(f"{'':27} -> {check.remedy}")


def _checks(path: Path | None) -> "Iterator[Check]":
    """One after the other, so that a slow one does not hide the others."""
    from glam_node.node.cli.checks import Check, Verdict, check_decoders, check_packages
    from glam_node.settings.load import SettingsError, load_settings

    yield check_packages()
    yield check_decoders()
    try:
        settings = load_settings(path, os.environ)
    except SettingsError as error:
        for problem in error.problems:
            yield Check("settings", Verdict.FAIL, str(problem), "Correct it; `glam-node settings explain` tells how.")
        return
    yield Check("settings", Verdict.OK, str(path) if path else "no settings file, all defaults")
    yield from _checks_of(settings)


def _checks_of(settings: "Settings") -> "Iterator[Check]":
    from glam_node.node.cli.checks import check_broker, check_database, check_ports, check_storage
    from glam_node.node.cli.checks_of_certificates import check_certificates
    from glam_node.node.cli.checks_of_peers import (
        check_collector,
        check_destinations,
        check_door,
        check_model,
        check_peers,
    )

    yield check_storage(settings)
    yield from check_ports(settings)
    yield from check_certificates(settings)
    yield from check_door(settings)
    yield check_database(settings)
    yield check_broker(settings)
    yield check_peers(settings)
    yield from check_destinations(settings)
    yield from check_collector(settings)
    yield check_model(settings)
