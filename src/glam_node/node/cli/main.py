"""The program `glam-node` and its commands, in the order in which a new user needs them."""

from pathlib import Path
from typing import Annotated

import typer

from glam_node import __version__
from glam_node.node.cli import (
    alerts,
    analyse,
    archive,
    audit,
    backfill,
    backup,
    canary,
    console,
    demo,
    doctor,
    echo,
    evaluate,
    guard_report,
    hl7,
    init,
    model,
    processes,
    rules,
    status,
    study,
    study_actions,
    train,
)
from glam_node.node.cli import settings as settings_command
from glam_node.node.cli.application import SETTINGS_VARIABLE, Commands

app = typer.Typer(
    name="glam-node",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"glam-node {__version__}")
        raise typer.Exit


@app.callback()
def glam_node(
    ctx: typer.Context,
    settings: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", envvar=SETTINGS_VARIABLE, help="Read the settings from this file, for every command."
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Analyse screening mammograms with GLAM as a DICOM node, and send DICOM SEG and SR back. For research use."""
    ctx.obj = settings


app.command()(demo.demo)
app.command()(init.init)
app.command()(processes.serve)
app.command()(processes.worker)
app.command()(processes.receiver)
app.command()(doctor.doctor)
app.command()(echo.echo)
app.command()(status.status)
app.command()(canary.canary)

study_app = typer.Typer(
    cls=study.StudyCommands, no_args_is_help=True, rich_markup_mode=None, help="Show studies and act on them."
)
study_app.command("list")(study.list_studies)
study_app.command("show")(study.show_study)
study_app.command()(study_actions.retry)
study_app.command()(study_actions.resend)
study_app.command()(study_actions.hold)
study_app.command()(study_actions.release)
study_app.command("set-aside")(study_actions.set_aside)
study_app.command("take-newer")(study_actions.take_newer)
study_app.command("keep-first")(study_actions.keep_first)
app.add_typer(study_app, name="study")

app.add_typer(archive.app, name="archive")
app.command()(backfill.backfill)
app.command("send-now")(study_actions.send_now)
app.command()(backup.backup)
app.command()(backup.restore)
app.command()(analyse.analyse)
app.command()(demo.phantom)
app.add_typer(audit.app, name="audit")
app.add_typer(settings_command.app, name="settings")
app.add_typer(rules.app, name="rules")
app.add_typer(hl7.app, name="hl7")
app.add_typer(alerts.app, name="alerts")
app.add_typer(model.app, name="model")
app.add_typer(console.app, name="console")

research_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Train, measure and compare models. Research use."
)
research_app.command()(train.train)
research_app.command()(evaluate.evaluate)
research_app.command()(evaluate.compare)
research_app.command()(guard_report.guard_report)
research_app.command()(model.golden)
app.add_typer(research_app, name="research")

# The commands of version 0.1 still work for one release; help does not list them.
app.command("studies", hidden=True)(study.list_studies)
app.command(hidden=True)(study_actions.retry)
app.command(hidden=True)(study_actions.resend)
app.command(hidden=True)(study_actions.hold)
app.command(hidden=True)(study_actions.release)
app.command("set-aside", hidden=True)(study_actions.set_aside)
app.command("take-newer", hidden=True)(study_actions.take_newer)
app.command("keep-first", hidden=True)(study_actions.keep_first)
app.command(hidden=True)(train.train)
app.command(hidden=True)(evaluate.evaluate)
model.app.command("golden", hidden=True)(model.golden)


def main() -> None:
    """Run the program."""
    app()
