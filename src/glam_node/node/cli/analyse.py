"""The command `glam-node analyse`, which analyses DICOM files without a network."""

from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glam_node.node.cli.application import (
    EXIT_FINDING,
    JsonOption,
    OutOption,
    SettingsOption,
    command_settings,
    output_directory,
    print_json,
    print_scores,
    text_output,
)
from glam_node.result_kinds import ANALYSIS_KINDS, DEFAULT_KINDS

if TYPE_CHECKING:
    from glam_node.node.cli.offline_analysis import Analysis, AnalysisOptions
    from glam_node.settings.schema import Settings


def _known(also: list[str] | None) -> list[str] | None:
    for kind in also or []:
        if kind not in ANALYSIS_KINDS:
            raise typer.BadParameter(f"{kind} is not a kind of result. Kinds: {', '.join(ANALYSIS_KINDS)}.")
    return also


AlsoOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KIND",
        callback=_known,
        help=f"Also write this kind of result; may be repeated. Kinds: {', '.join(ANALYSIS_KINDS)}.",
    ),
]


def analyse(
    ctx: typer.Context,
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH", exists=True, help="Analyse these DICOM files, or those in these folders."),
    ],
    out: OutOption,
    also: AlsoOption = None,
    settings: SettingsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Analyse DICOM files without a network. SEG, SR and pictures go to DIR. Exit with 1 if a result is missing."""
    configured = command_settings(ctx, settings)
    directory = output_directory(out)
    from glam_node.node.cli.offline_analysis import analyse as analyse_files

    now = datetime.now(UTC)
    analysis = analyse_files(paths, directory, _options(configured, now, also or []), now)
    if as_json:
        _print_json(analysis)
    else:
        _print(analysis)
    lacking = any(written.not_written for written in analysis.written)
    if analysis.refused or lacking or not analysis.written:
        raise typer.Exit(EXIT_FINDING)


def _options(settings: "Settings", now: datetime, also: list[str]) -> "AnalysisOptions":
    from glam_node.node.bootstrap import eligibility_policy, load_configured_predictor, result_identity
    from glam_node.node.cli.offline_analysis import AnalysisOptions

    return AnalysisOptions(
        eligibility_policy(settings),
        result_identity(settings).at(now),
        partial(load_configured_predictor, settings),
        DEFAULT_KINDS.union(also),
    )


def _print(analysis: "Analysis") -> None:
    screen = text_output()
    for written in analysis.written:
        screen.print(f"Study {written.findings.study_instance_uid}")
        print_scores(written.findings, screen)
        for path in (*written.objects, *written.pictures):
            screen.print(f"  {path}", soft_wrap=True)
        for lacking in written.not_written:
            typer.echo(f"not written: {lacking.what}: {lacking.reason}")
    for left_out in analysis.left_out:
        typer.echo(f"{left_out.what}: {left_out.reason}")
    for refused in analysis.refused:
        typer.echo(f"not analysed: {refused.what}: {refused.reason}")


def _print_json(analysis: "Analysis") -> None:
    from glam_node.node.workflow.operate.study_description import algorithm_label, scores

    print_json(
        {
            "studies": [
                {
                    "study_instance_uid": written.findings.study_instance_uid,
                    "algorithm": algorithm_label(written.findings),
                    "scores": scores(written.findings),
                    "objects": written.objects,
                    "pictures": written.pictures,
                    "not_written": [asdict(lacking) for lacking in written.not_written],
                }
                for written in analysis.written
            ],
            "refused": [asdict(refusal) for refusal in analysis.refused],
            "left_out": [asdict(refusal) for refusal in analysis.left_out],
        }
    )
