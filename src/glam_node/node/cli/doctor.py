"""The command `glam-node doctor`, which checks everything that a node needs."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
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
    from glam_node.settings.schema import Settings

COLORS = {"ok": typer.colors.GREEN, "warn": typer.colors.YELLOW, "FAIL": typer.colors.RED}


def doctor(
    ctx: typer.Context,
    settings: SettingsOption = None,
    as_json: JsonOption = False,
    self_test: Annotated[
        bool,
        typer.Option("--self-test", help="Also send a synthetic exam through a separate node to a folder."),
    ] = False,
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="WORD", help="Leave out the lines that begin with WORD, such as model; repeatable."),
    ] = None,
) -> None:
    """Check everything that a node needs. Print a line for each check; exit with 1 if one is FAIL."""
    from glam_node.node.cli.checks import is_named
    from glam_node.node.observe import logs

    logs.configure("error", "console")
    done = []
    unwanted = set(without or ())
    for found in _checks(settings_path(ctx, settings), unwanted, self_test=self_test):
        if found.may_be_left_out and is_named(found.name, unwanted):
            continue
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
    from glam_node.node.cli.checks import Check, Verdict, is_named, run_checks
    from glam_node.node.cli.checks_of_host import check_decoders, check_packages, check_variables
    from glam_node.node.observe import logs
    from glam_node.settings.load import SettingsError, load_settings
    from glam_node.settings.problems import explanation
    from glam_node.settings.reference import secrets_in

    yield check_packages()
    yield check_decoders()
    try:
        settings = load_settings(path, os.environ)
    except SettingsError as error:
        for problem in error.problems:
            yield Check("settings", Verdict.FAIL, str(problem), f"Correct it. {explanation([problem])}".rstrip())
        return
    logs.configure("error", "console", secrets_in(settings))
    yield Check("settings", Verdict.OK, str(path) if path else "no settings file, all defaults")
    yield from check_variables(os.environ)
    from glam_node.node.cli import doctor_tasks as tasks

    # The speed of the disk is measured first and alone; all other checks run at the same time.
    groups = [[tasks.disk_task(settings)], list(tasks.other_tasks(settings))]
    _refuse_unknown(without, [*[task.name for group in groups for task in group], *tasks.OTHER_LINES], settings)
    for group in groups:
        yield from run_checks(task for task in group if not is_named(task.name, without))
    if self_test:
        yield from run_checks([tasks.self_test_task(settings)])


def _refuse_unknown(without: set[str], names: list[str], settings: "Settings") -> None:
    """Refuse a word with which no line can begin; some lines are named after a section or key of the settings."""
    from glam_node.node.cli.checks import is_named

    unknown = sorted(
        word
        for word in without
        if not any(is_named(name, {word}) for name in names) and not _is_in(settings, word.split("."))
    )
    if unknown:
        raise typer.BadParameter(
            f"there is no check {', '.join(unknown)}. The checks are: {', '.join(names)}.", param_hint="--without"
        )


def _is_in(settings: "Settings", key: list[str]) -> bool:
    """Return whether the settings have this section or key, such as ["destinations", "archive"]."""
    value: object = settings
    for name in key:
        if isinstance(value, Mapping):
            known, value = name in value, value.get(name)
        else:
            known, value = name in getattr(type(value), "model_fields", {}), getattr(value, name, None)
        if not known:
            return False
    return True
