"""The commands `glam-node archive query` and `glam-node archive fetch`."""

import os
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glam_node.node.cli.application import (
    EXIT_FINDING,
    JsonOption,
    SettingsOption,
    command_node,
    command_settings,
    folding_table,
    print_error,
    print_json,
    text_output,
)
from glam_node.node.cli.checks import serving_process
from glam_node.node.cli.study_actions import current_user

if TYPE_CHECKING:
    from glam_node.node.bootstrap import Node
    from glam_node.node.domain.archived import ArchivedStudy, StudyQuery
    from glam_node.node.domain.ports import Source
    from glam_node.node.workflow.receive.fetch_study import FetchOutcome
    from glam_node.settings.schema import Settings

SourceArgument = Annotated[str, typer.Argument(metavar="SOURCE", help="The NAME of a [sources.NAME] section.")]
StudyUIDOption = Annotated[str, typer.Option("--study-uid", metavar="UID", help="Match this Study Instance UID.")]
AccessionOption = Annotated[str, typer.Option("--accession", metavar="NUMBER", help="Match this Accession Number.")]
SHOWN_FAILURES = 3
DATE_FORMATS = ["%Y-%m-%d", "%Y%m%d"]

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Search an archive, and fetch studies from it.")


@app.command()
def query(
    ctx: typer.Context,
    source: SourceArgument,
    patient_id: Annotated[str, typer.Option(metavar="ID", help="Match this Patient ID.")] = "",
    accession: AccessionOption = "",
    study_uid: StudyUIDOption = "",
    study_date_from: Annotated[
        datetime | None, typer.Option(metavar="DATE", formats=DATE_FORMATS, help="Match studies of this date or later.")
    ] = None,
    study_date_to: Annotated[
        datetime | None,
        typer.Option(metavar="DATE", formats=DATE_FORMATS, help="Match studies of this date or earlier."),
    ] = None,
    modality: Annotated[
        str, typer.Option(metavar="CODE", help="Match studies with a series of this modality; empty: any.")
    ] = "MG",
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of studies to show.")] = 100,
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:
    """Search an archive for studies. The output names no patients."""
    from glam_node.node.domain.archived import StudyQuery

    configured = settings_with(ctx, settings, source)
    asked = StudyQuery(patient_id, accession, study_uid, _date(study_date_from), _date(study_date_to), modality, limit)
    _refuse_unlimited(asked)
    if study_date_from and study_date_to and study_date_from > study_date_to:
        raise typer.BadParameter("--study-date-from is later than --study-date-to.")
    found = _source(ctx, source, configured).find_studies(asked)
    if as_json:
        studies = [{key: value for key, value in asdict(one).items() if key != "patient_id"} for one in found.studies]
        print_json({"source": source, "studies": studies, "is_cut": found.is_cut})
    else:
        table = folding_table(("date", "accession number", "modalities", "instances", "study instance uid"))
        for one in found.studies:
            count = "?" if one.instances is None else str(one.instances)
            table.add_row(_shown(one), one.accession_number, ", ".join(one.modalities), count, one.study_instance_uid)
        text_output().print(table)
        if found.is_cut:
            typer.echo(f"The archive has more than {limit} matching studies. Narrow the search, or raise --limit.")
    if not found.studies:
        print_error("No study matches.")
        raise typer.Exit(EXIT_FINDING)


@app.command()
def fetch(
    ctx: typer.Context,
    source: SourceArgument,
    study_uid: StudyUIDOption = "",
    accession: AccessionOption = "",
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:
    """Fetch studies from an archive into this node, which analyses them as if they had been sent to it.

    A study counts as fetched when the node has every instance that the archive lists.
    """
    from glam_node.node.bootstrap import recorded_source
    from glam_node.node.domain.archived import StudyQuery

    configured = settings_with(ctx, settings, source)
    if not (study_uid or accession):
        raise typer.BadParameter("give --study-uid or --accession.")
    node = command_node(ctx, configured)
    require_user_of(node)
    found = recorded_source(source, node, current_user()).find_studies(
        StudyQuery(accession_number=accession, study_instance_uid=study_uid)
    )
    if not found.studies:
        print_error(f"{source} has no such study. Check the number; `glam-node archive query` searches for others.")
        raise typer.Exit(EXIT_FINDING)
    outcomes = _fetch(node, source, found.studies)
    if as_json:
        print_json([{**asdict(one), "is_complete": one.is_complete} for one in outcomes])
    else:
        _print_outcomes(outcomes, node)
    if not all(one.is_complete for one in outcomes):
        raise typer.Exit(EXIT_FINDING)


def _fetch(node: "Node", source: str, studies: "tuple[ArchivedStudy, ...]") -> "list[FetchOutcome]":
    from glam_node.node.bootstrap import study_fetcher
    from glam_node.node.cli.progress import progress_bars
    from glam_node.node.errors import NodeError
    from glam_node.node.workflow.receive.fetch_study import FetchOutcome

    outcomes: list[FetchOutcome] = []
    with study_fetcher(source, node, current_user()) as fetcher, progress_bars() as tell:
        for study in studies:
            label = f"study {study.study_instance_uid}"
            show = partial(tell, label)
            try:
                outcomes.append(fetcher.fetch(study, show))
            except NodeError as error:
                if len(studies) == 1:
                    raise
                outcomes.append(FetchOutcome(study.study_instance_uid, study.instances or 1, 0, 0, (str(error),)))
    return outcomes


def _print_outcomes(outcomes: "list[FetchOutcome]", node: "Node") -> None:
    from glam_node.node.workflow.receive.fetch_study import said

    for one in outcomes:
        typer.echo(f"{'ok  ' if one.is_complete else 'FAIL'}  study {one.study_instance_uid}: {said(one)}")
        for failure in one.failures[:SHOWN_FAILURES]:
            print_error(failure)
        if len(one.failures) > SHOWN_FAILURES:
            print_error(f"There are {len(one.failures) - SHOWN_FAILURES} more failures like these.")
    uid = outcomes[0].study_instance_uid
    if not all(one.is_complete for one in outcomes):
        _print_incomplete(outcomes, node)
        typer.echo("Next: correct the cause and run the command again; what is stored is not fetched twice.")
    elif not any(one.new for one in outcomes):
        typer.echo(f"The node had all of it already; `glam-node study show {uid}` shows the results.")
    elif not serving_process(node.settings.storage.root):
        typer.echo("Next: start the node with `glam-node serve`, which analyses what was fetched.")
    else:
        typer.echo(f"Next: the node analyses it; `glam-node study show {uid}` shows how far it is.")


def _print_incomplete(outcomes: "list[FetchOutcome]", node: "Node") -> None:
    """Print what the node does with studies of which it has only a part."""
    wait = node.settings.assembly.quiet_time
    for one in outcomes:
        if one.stored and not one.is_complete:
            typer.echo(
                f"The node analyses what it has of study {one.study_instance_uid} {wait:g} s after the last image "
                f"(assembly.quiet_time). To prevent that, run `glam-node study hold {one.study_instance_uid}`."
            )


def _source(ctx: typer.Context, name: str, settings: "Settings") -> "Source":
    """Return the source, with a record of the query in the audit trail if the node has a database already."""
    from glam_node.node.bootstrap import built_source, recorded_source
    from glam_node.node.db import migrate
    from glam_node.node.db.engine import database_url

    if not migrate.revision_at(database_url(settings.database_url, settings.storage.root)):
        return built_source(name, settings)
    return recorded_source(name, command_node(ctx, settings), current_user())


def settings_with(ctx: typer.Context, path: Any, source: str) -> "Settings":
    """Load the settings; refuse a source that they do not have. The command prints warnings itself."""
    configured = command_settings(ctx, path, "error")
    if source not in configured.sources:
        names = ", ".join(configured.sources) or "none"
        raise typer.BadParameter(f"the settings have no [sources.{source}]; they have: {names}.")
    return configured


def _refuse_unlimited(asked: "StudyQuery") -> None:
    """Refuse a query for every study of an archive, which may have millions."""
    if not (asked.patient_id or asked.accession_number or asked.study_instance_uid or asked.dates):
        raise typer.BadParameter("give --patient-id, --accession, --study-uid, --study-date-from or --study-date-to.")


def require_user_of(node: "Node") -> None:
    """Refuse to write files that the node could not read, because another user runs it.

    Raises:
        PermanentError: The storage root belongs to another user.
    """
    from glam_node.node.errors import PermanentError

    owner = node.settings.storage.root.stat().st_uid
    if owner != os.geteuid():
        raise PermanentError(
            f"storage.root {node.settings.storage.root} belongs to user {owner}, and the node could not read files of "
            f"user {os.geteuid()}. Run this command as the user of the node, with `sudo -u '#{owner}'` before it."
        )


def _date(chosen: datetime | None) -> str:
    return f"{chosen:%Y%m%d}" if chosen else ""


def _shown(study: "ArchivedStudy") -> str:
    date = study.study_date
    return f"{date[:4]}-{date[4:6]}-{date[6:]}" if len(date) == 8 else date
