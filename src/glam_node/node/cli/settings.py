"""The command `glam-node settings`, which checks, shows, explains and reloads the settings."""

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glam_node.node.cli.application import (
    EXIT_FINDING,
    JsonOption,
    SettingsOption,
    console,
    print_json,
    settings_of,
    settings_path,
    tell_problems,
)
from glam_node.node.cli.settings_reload import diff, reload

if TYPE_CHECKING:
    from glam_node.settings.problems import Problem

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Check, show, explain and reload the settings.")
app.command()(diff)
app.command()(reload)


class Format(StrEnum):
    """The output format of `settings explain`."""

    TEXT = "text"
    MARKDOWN = "markdown"
    TOML = "toml"


@app.command()
def check(ctx: typer.Context, settings: SettingsOption = None, as_json: JsonOption = False) -> None:
    """Check the settings and the files that they name, and list every mistake. Exit with 1 if there is one."""
    from glam_node.node.cli.checks_of_certificates import file_problems
    from glam_node.settings.ineffective import without_effect
    from glam_node.settings.load import SettingsError, load_settings
    from glam_node.settings.problems import mistyped_variables

    path = settings_path(ctx, settings)
    try:
        configured = load_settings(path, os.environ)
        problems, warnings = file_problems(configured)
        warnings += (*mistyped_variables(os.environ), *without_effect(configured))
        if problems:
            raise SettingsError(problems, path)
    except SettingsError as error:
        if as_json:
            print_json({"settings": _source(path), "valid": False, "problems": _told(error.problems)})
        else:
            tell_problems(error)
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
    configured = settings_of(ctx, settings)
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
        Format, typer.Option(help="text, markdown (the settings reference) or toml (a commented file to start from).")
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
    out = console()
    for key in found:
        default = "required" if key.required else f"default {_shown(key.default)}"
        out.print(f"{key.dotted}  ({default})", style="bold")
        out.print(f"    {key.description}")
        out.print(f"    Allowed: {key.allowed}. Environment: {key.environment_variable}")


def _shown(default: object) -> str:
    return "unset" if default is None else f'"{default}"' if isinstance(default, str) else str(default).lower()


def _source(path: Path | None) -> str:
    variables = [name for name in os.environ if name.upper().startswith("GLAM_NODE__")]
    file = str(path) if path else "no settings file, all defaults"
    return f"{file} and {len(variables)} environment variables" if variables else file
