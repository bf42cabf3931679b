"""The command `glam-node backfill`, which fetches and analyses many earlier studies."""

import csv
from collections.abc import Iterator
from datetime import datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glam_node.node.cli.application import (
    EXIT_FINDING,
    JsonOption,
    SettingsOption,
    command_node,
    print_error,
    print_json,
)
from glam_node.node.cli.archive import DATE_FORMATS, SourceArgument, require_user_of, settings_with
from glam_node.node.cli.checks import serving_process
from glam_node.node.cli.study_actions import current_user

if TYPE_CHECKING:
    from glam_node.node.domain.archived import StudyQuery
    from glam_node.node.domain.backfill import BackfillLimits
    from glam_node.node.workflow.operate.backfill import Backfill, Outcome

MOST_OF_A_DAY = 10_000
"""Maximum number of studies of one query."""
POLL_S = 2.0
COLUMNS = ("study_instance_uid", "accession_number", "study_date", "state", "reason", "algorithm_version")


def backfill(
    ctx: typer.Context,
    source: SourceArgument,
    date_from: Annotated[
        datetime | None, typer.Option("--from", metavar="DATE", formats=DATE_FORMATS, help="First Study Date.")
    ] = None,
    date_to: Annotated[
        datetime | None, typer.Option("--to", metavar="DATE", formats=DATE_FORMATS, help="Last Study Date.")
    ] = None,
    accessions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", exists=True, dir_okay=False, help="Fetch the Accession Numbers in this file, one a line."
        ),
    ] = None,
    list_path: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Fetch the studies in the column study_instance_uid or accession_number of this file.",
        ),
    ] = None,
    hours: Annotated[
        str, typer.Option(metavar="HH:MM-HH:MM", help="Fetch only at this time of day, such as 20:00-06:00.")
    ] = "",
    at_once: Annotated[int, typer.Option(min=1, max=16, help="Fetch at most this number of studies at a time.")] = 1,
    per_hour: Annotated[int, typer.Option(min=1, help="Fetch at most this number of studies an hour.")] = 60,
    scores: Annotated[
        Path, typer.Option(metavar="FILE", dir_okay=False, help="Write the scores of all studies to this CSV file.")
    ] = Path("backfill-scores.csv"),
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:
    """Fetch and analyse many earlier studies. Live studies go first; run the command again to resume it.

    The command ends when the node has analysed all studies, and writes their scores to a file.
    """
    from glam_node.node.bootstrap import recorded_source, study_fetcher
    from glam_node.node.workflow.operate.backfill import Backfill

    configured = settings_with(ctx, settings, source)
    queries = _queries(date_from, date_to, accessions, list_path)
    limits = _limits(hours, at_once, per_hour)
    node = command_node(ctx, configured)
    require_user_of(node)
    _write_scores(scores, [])
    with study_fetcher(source, node, current_user()) as fetcher:
        run = Backfill(recorded_source(source, node, current_user()), fetcher, node.sessions, limits)
        try:
            _run(run, queries, configured.storage.root)
        finally:
            outcomes = run.outcomes()
            _write_scores(scores, outcomes)
    if as_json:
        print_json({"scores": str(scores), "studies": [_row(one) for one in outcomes]})
    else:
        _print_summary(outcomes, scores)
    if not all(one.is_final for one in outcomes):
        raise typer.Exit(EXIT_FINDING)


def _run(run: "Backfill", queries: "list[StudyQuery]", root: Path) -> None:
    from glam_node.node.cli.progress import progress_bars

    with progress_bars() as tell:
        for cut in run.find(queries):
            print_error(f"More than {MOST_OF_A_DAY} studies match {cut.dates or 'a query'}; the others are left out.")
        run.fetch(tell)
        run.wait_for_analysis(tell, lambda: bool(serving_process(root)), POLL_S)


def _queries(
    date_from: datetime | None, date_to: datetime | None, accessions: Path | None, list_path: Path | None
) -> "list[StudyQuery]":
    from glam_node.node.domain.archived import StudyQuery
    from glam_node.node.workflow.operate.backfill import day_queries

    chosen = [date_from is not None or date_to is not None, accessions is not None, list_path is not None]
    if sum(chosen) != 1:
        raise typer.BadParameter("give either --from and --to, or --accessions, or --csv.")
    if accessions is not None:
        lines = accessions.read_text(encoding="utf-8-sig").split("\n")
        return [StudyQuery(accession_number=line.strip()) for line in lines if line.strip()]
    if list_path is not None:
        return list(_queries_of_table(list_path))
    if date_from is None or date_to is None:
        raise typer.BadParameter("give --from and --to, the first and the last day.")
    if date_from > date_to:
        raise typer.BadParameter(f"{date_from:%Y-%m-%d} is later than --to, {date_to:%Y-%m-%d}.", param_hint="--from")
    return day_queries(date_from, date_to, "MG", MOST_OF_A_DAY)


def _queries_of_table(path: Path) -> "Iterator[StudyQuery]":
    from glam_node.node.domain.archived import StudyQuery

    with path.open(newline="", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            uid, accession = ((row.get(name) or "").strip() for name in ("study_instance_uid", "accession_number"))
            if not (uid or accession):
                raise typer.BadParameter(f"{path} has a line without study_instance_uid and accession_number.")
            yield StudyQuery(study_instance_uid=uid, accession_number="" if uid else accession)


def _limits(hours: str, at_once: int, per_hour: int) -> "BackfillLimits":
    from glam_node.node.domain.backfill import BackfillLimits

    if not hours:
        return BackfillLimits(None, at_once, per_hour)
    try:
        begin, end = (time.fromisoformat(part.strip()) for part in hours.split("-"))
    except ValueError as error:
        raise typer.BadParameter(f"{hours} is not a time of day such as 20:00-06:00.", param_hint="--hours") from error
    if begin == end:
        raise typer.BadParameter(f"{hours} begins when it ends: no study would be fetched.", param_hint="--hours")
    return BackfillLimits((begin, end), at_once, per_hour)


def _row(outcome: "Outcome") -> dict[str, str]:
    study = outcome.entry.study
    stated = (
        study.study_instance_uid,
        study.accession_number,
        study.study_date,
        outcome.state,
        outcome.reason,
        outcome.algorithm_version,
    )
    return dict(zip(COLUMNS, stated, strict=True)) | {kind: f"{score:.4f}" for kind, score in outcome.scores.items()}


def _write_scores(path: Path, outcomes: "list[Outcome]") -> None:
    path.touch(mode=0o600)
    classes = sorted({kind for one in outcomes for kind in one.scores})
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [*COLUMNS, *classes])
        table.writeheader()
        table.writerows(_row(one) for one in outcomes)


def _print_summary(outcomes: "list[Outcome]", scores: Path) -> None:
    from collections import Counter

    counted = Counter(one.state for one in outcomes)
    typer.echo(", ".join(f"{count} {state}" for state, count in counted.most_common()) or "No study matches.")
    for one in [one for one in outcomes if one.entry.failure][:5]:
        print_error(f"study {one.entry.study.study_instance_uid}: {one.entry.failure}")
    if all(one.is_final for one in outcomes):
        typer.echo(f"Next: look at the scores in {scores}.")
    else:
        typer.echo(f"Next: run the command again; it continues where it stopped. The scores so far are in {scores}.")
