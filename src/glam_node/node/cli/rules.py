"""The command `glam-node rules`, which tests and explains the rules of a site."""

import math
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glam_node.node.cli.application import JsonOption, SettingsOption, command_settings, print_json, text_output

if TYPE_CHECKING:
    from glam_node.node.workflow.assemble.rule_trial import Tried, TriedStudy

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Test and explain the rules of your site ([rules.NAME])."
)


@app.command()
def test(
    ctx: typer.Context,
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH", exists=True, help="Try the rules on these DICOM files, or on those in these folders."
        ),
    ],
    calling_ae_title: Annotated[str, typer.Option(help="Assume this AE title of the sender. Default: none.")] = "",
    assume: Annotated[
        list[str],
        typer.Option(
            metavar="FIELD=NUMBER",
            help="Assume this result for the rules about results, such as malignant_score=0.8. Default: none.",
        ),
    ] = [],  # noqa: B006 - typer copies it
    settings: SettingsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which rule would decide on files, and why. Nothing is analysed, stored or sent."""
    assumed = dict(map(_assumed, assume))
    configured = command_settings(ctx, settings)
    from glam_node.node.bootstrap import rule_trial
    from glam_node.node.demo.exam import all_files
    from glam_node.node.workflow.assemble.rule_trial import try_rules

    trial = replace(rule_trial(configured), assumed=assumed)
    tried = try_rules(all_files(paths), trial, calling_ae_title, datetime.now(UTC))
    if as_json:
        print_json(asdict(tried))
    else:
        _print(tried)


@app.command()
def explain() -> None:
    """Explain the fields and operators of the rules language, with examples."""
    from glam_node.rules.reference import explanation

    typer.echo(explanation(), nl=False)


def _assumed(text: str) -> tuple[str, float]:
    from glam_node.rules.fields import RESULT_FIELDS, SCORES

    name, _, number = text.partition("=")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if name not in RESULT_FIELDS or not math.isfinite(value):
        fields = ", ".join(RESULT_FIELDS)
        raise typer.BadParameter(f"{text}: write FIELD=NUMBER, with one of {fields}.", param_hint="--assume")
    if name in SCORES and not 0 <= value <= 1:
        raise typer.BadParameter(f"{text}: {name} is 0 to 1.", param_hint="--assume")
    return name, value


def _print(tried: "Tried") -> None:
    for study in tried.studies:
        _print_study(study)
    for file, reason in tried.refused:
        typer.echo(f"not read: {file}: {reason}")


def _print_study(study: "TriedStudy") -> None:
    from rich.table import Table

    screen = text_output()
    screen.print(f"Study {study.study_instance_uid}")
    goes_to = ", ".join(study.destinations) or "nowhere"
    priority = f", {study.priority}" if study.priority else ""
    screen.print(f"  {study.outcome}{priority} by {study.rule}: {study.reason}", soft_wrap=True)
    if study.after_analysis:
        screen.print(f"  after the analysis: {study.after_analysis}", soft_wrap=True)
    later = " after the study is released" if study.held else ""
    screen.print(f"  results would go to {goes_to}{later}", soft_wrap=True)
    table = Table("file", "view", "outcome", "rule", "what it says")
    for image in study.images:
        table.add_row(image.file, image.view, image.outcome, image.rule, "\n".join(image.said))
    screen.print(table)
