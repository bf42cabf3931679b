"""The command `glam-node doctor`, which checks everything that a node needs."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    from glam_node.node.cli.examination import Question
    from glam_node.settings.schema import Settings

COLORS = {"ok": typer.colors.GREEN, "warn": typer.colors.YELLOW, "FAIL": typer.colors.RED}
MODEL_S = 300.0
SELF_TEST_S = 900.0


def doctor(
    ctx: typer.Context,
    settings: SettingsOption = None,
    as_json: JsonOption = False,
    self_test: Annotated[
        bool,
        typer.Option("--self-test", help="Then send a synthetic exam through a separate node to a folder."),
    ] = False,
    without: Annotated[
        list[str] | None, typer.Option(metavar="CHECK", help="Skip this check, for example model; may be repeated.")
    ] = None,
) -> None:
    """Check everything that a node needs. Print a line for each check; exit with 1 if one is FAIL."""
    from glam_node.node.observe import logs

    logs.configure("error", "console")
    done = []
    for found in _checks(settings_path(ctx, settings), set(without or ()), self_test=self_test):
        check = replace(found, fact=logs.without_secrets(found.fact), remedy=logs.without_secrets(found.remedy))
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


def _checks(path: Path | None, without: set[str], *, self_test: bool) -> "Iterator[Check]":
    from glam_node.node.cli.checks import Check, Verdict, check_decoders, check_packages
    from glam_node.node.cli.checks_of_host import check_variables
    from glam_node.node.cli.examination import answers
    from glam_node.node.observe import logs
    from glam_node.settings.load import SettingsError, load_settings
    from glam_node.settings.reference import secrets_in

    yield check_packages()
    yield check_decoders()
    try:
        settings = load_settings(path, os.environ)
    except SettingsError as error:
        for problem in error.problems:
            yield Check("settings", Verdict.FAIL, str(problem), "Correct it; `glam-node settings explain` tells how.")
        return
    logs.configure("error", "console", secrets_in(settings))
    yield Check("settings", Verdict.OK, str(path) if path else "no settings file, all defaults")
    yield from check_variables(os.environ)
    groups = [list(_disk(settings)), list(_questions(settings))]
    _refuse_unknown(without, [question.name for group in groups for question in group])
    # The speed of the disk is measured first and alone; all other checks run at the same time.
    for questions in groups:
        yield from answers(question for question in questions if question.name not in without)
    if self_test:
        yield from answers(_self_test(settings))


def _refuse_unknown(without: set[str], names: list[str]) -> None:
    unknown = sorted(without - set(names))
    if unknown:
        raise typer.BadParameter(
            f"there is no check {', '.join(unknown)}. The checks are: {', '.join(names)}.", param_hint="--without"
        )


def _disk(settings: "Settings") -> "Iterator[Question]":
    from glam_node.node.cli.checks_of_host import check_storage
    from glam_node.node.cli.examination import Question

    yield Question("storage", lambda: check_storage(settings), 60.0)


def _questions(settings: "Settings") -> "Iterator[Question]":
    from glam_node.node.cli import checks_of_peers as peers
    from glam_node.node.cli.checks_of_broker import check_broker
    from glam_node.node.cli.checks_of_certificates import check_certificates
    from glam_node.node.cli.checks_of_channels import check_channels
    from glam_node.node.cli.checks_of_database import check_database
    from glam_node.node.cli.checks_of_destinations import check_destination, longest
    from glam_node.node.cli.checks_of_host import check_ports, check_retention
    from glam_node.node.cli.checks_of_model import check_model
    from glam_node.node.cli.checks_of_secrets import check_secrets
    from glam_node.node.cli.checks_of_sign_in import check_sign_in
    from glam_node.node.cli.checks_of_sign_in import longest as longest_sign_in
    from glam_node.node.cli.examination import Question

    yield Question("retention", lambda: check_retention(settings))
    yield Question("ports", lambda: check_ports(settings))
    yield Question("AE titles", lambda: [peers.check_ae_titles(settings)])
    yield Question("certificates", lambda: check_certificates(settings))
    yield Question("secrets", lambda: check_secrets(settings))
    yield Question("C-ECHO", lambda: peers.check_door(settings))
    yield Question("sign-in provider", lambda: check_sign_in(settings), longest_sign_in(settings.console.oidc))
    yield Question("database", lambda: check_database(settings), 40.0)
    yield Question("broker", lambda: check_broker(settings))
    yield Question("peers", lambda: [peers.check_peers(settings)])
    if not settings.destinations:
        yield Question("destinations", lambda: [peers.no_destination()])
    for name, destination in settings.destinations.items():
        yield Question(f"destinations.{name}", partial(check_destination, name, settings), longest(destination))
    yield Question("audit", lambda: peers.check_collector(settings), settings.audit.timeout * 3)
    yield Question(
        "channels", lambda: check_channels(settings), 3 * (settings.alerts.timeout + settings.telemetry.timeout)
    )
    yield Question("model", lambda: check_model(settings), MODEL_S)


def _self_test(settings: "Settings") -> "Iterable[Question]":
    from glam_node.node.cli.examination import Question
    from glam_node.node.cli.self_test import check_the_whole_road

    return [Question("self-test", lambda: check_the_whole_road(settings), SELF_TEST_S)]
