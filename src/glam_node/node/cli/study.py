"""The commands that show studies: `glam-node study list` and `study show`."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from glam_node.node.cli.application import (
    JsonOption,
    SettingsOption,
    command_settings,
    folding_table,
    print_json,
    reading_sessions,
    text_output,
)

if TYPE_CHECKING:
    from rich.console import Console

    from glam_node.node.db.engine import SessionFactory
    from glam_node.node.domain.study import Study

TO_DECIDE = (
    'Compare both in the archive. `glam-node study take-newer {uid} --reason "..."` analyses the newer ones, '
    '`glam-node study keep-first {uid} --reason "..."` ignores them.'
)


class StudyCommands(TyperGroup):
    """The group `glam-node study`, which also accepts `glam-node study UID`, the old form of `study show UID`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert `show` before a UID, or before options other than the help options."""
        first = args[0] if args else ""
        if first[:1].isdigit() or (first.startswith("-") and first not in ctx.help_option_names):
            args = ["show", *args]
        return super().parse_args(ctx, args)


StudyArgument = Annotated[
    str, typer.Argument(metavar="UID", help="Study Instance UID, as `glam-node study list` shows it.")
]


def known_study(sessions: "SessionFactory", study_instance_uid: str) -> "Study":
    """Return the study with this UID.

    Raises:
        typer.BadParameter: The node has no such study.
    """
    from glam_node.node.db import studies

    with sessions() as session:
        study = studies.get(session, study_instance_uid)
    if study is None:
        raise typer.BadParameter(f"this node has no study {study_instance_uid}. `glam-node study list` lists all.")
    return study


def list_studies(
    ctx: typer.Context,
    settings: SettingsOption = None,
    limit: Annotated[int, typer.Option(min=1, help="List this number of studies, most recently received first.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List the studies with their state and its reason."""
    configured = command_settings(ctx, settings)
    from glam_node.node.bootstrap import eligibility_policy
    from glam_node.node.db import audit
    from glam_node.node.db.studies import recent
    from glam_node.node.domain.event import EventKind
    from glam_node.node.workflow.operate.study_description import summary

    with reading_sessions(ctx, configured)() as session:
        listed, policy = recent(session, limit), eligibility_policy(configured)
        uids = [study.study_instance_uid for study in listed]
        analysed = audit.newest_of_studies(session, EventKind.JOB_SUCCEEDED, uids)
        rows = [summary(study, policy, analysed.get(study.study_instance_uid)) for study in listed]
    if as_json:
        print_json(rows)
        return
    if not rows:
        typer.echo(
            f"The node has received no study yet. Send one to {configured.node.ae_title}, port {configured.node.port}."
        )
        return
    table = folding_table(("study_instance_uid", "state", "views", "last_received_at (UTC)", "reason"))
    for row in rows:
        at = row["last_received_at"].strftime("%Y-%m-%d %H:%M:%S")
        state = row["state"] if row["standing"] == "FREE" else f"{row['state']}, {row['standing']}"
        views = "; ".join(filter(None, (row["views"], row["incomplete"])))
        table.add_row(row["study_instance_uid"], state, views, at, row["reason"] or row["rule"])
    text_output().print(table)


def show_study(
    ctx: typer.Context, study_instance_uid: StudyArgument, settings: SettingsOption = None, as_json: JsonOption = False
) -> None:
    """Show one study in detail. The output has its images, state, jobs, scores, deliveries and timeline."""
    configured = command_settings(ctx, settings)
    sessions = reading_sessions(ctx, configured)
    found = known_study(sessions, study_instance_uid)
    from glam_node.node.bootstrap import eligibility_policy
    from glam_node.node.workflow.operate.study_description import describe

    description = describe(found, eligibility_policy(configured), sessions, configured.storage.root)
    if as_json:
        print_json(description)
    else:
        _print(description, text_output())


def _print(study: dict[str, Any], out: "Console") -> None:
    _print_state(study, out)
    _table(
        out, "Images", study["instances"], ("view", "sop_instance_uid", "rows", "columns", "excluded", "received_at")
    )
    for reason in dict.fromkeys(one["excluded_because"] for one in study["instances"] if one["excluded"]):
        out.print(f"  Left out: {reason}")
    for job in study["jobs"]:
        stages = ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in job["stage_seconds"].items())
        out.print(f"Job {job['job_id']}  {job['state']}  attempt {job['attempt']}  {stages}")
        if job["failure"]:
            out.print(f"  {job['failure']}")
    if study["scores"]:
        out.print(f"Algorithm {study['algorithm']}")
    _table(out, "Scores", study["scores"], ("view", "malignant_score", "benign_score", "findings", "failure"))
    _print_priors(study["priors"], out)
    columns = ("destination", "kind", "sop_instance_uid", "state", "attempt", "failure", "warning")
    for title, superseded in (("Deliveries", False), ("Deliveries of earlier analyses, which are superseded", True)):
        _table(out, title, [one for one in study["deliveries"] if one["superseded"] is superseded], columns)
    _timeline(out, study["timeline"])


def _print_state(study: dict[str, Any], out: "Console") -> None:
    """Print the state of a study, its standing and the doubts about its images."""
    out.print(f"Study {study['study_instance_uid']}", style="bold")
    out.print(f"{study['state']}  {study['rule']}  {study['reason']}")
    if study["fetched_for"]:
        out.print(f"Fetched as a prior exam of study {study['fetched_for']}")
    if study["incomplete"]:
        out.print(f"{study['incomplete']}: the table of scores has the reasons")
    if study["standing"] != "FREE":
        out.print(f"{study['standing']}  {study['standing_reason']}")
    if study["remedy"]:
        out.print(f"  {study['remedy']}", markup=False)
    if study["newer"]:
        out.print(f"In doubt: {study['newer']['reason']}.", markup=False)
        out.print(f"  {TO_DECIDE.format(uid=study['study_instance_uid'])}", markup=False)


def _print_priors(priors: dict[str, Any] | None, out: "Console") -> None:
    """Print what became of the search for prior exams, and what the comparison shows."""
    if priors is None:
        return
    out.print(f"Prior exams by {priors['rule']}: {priors['state']}, {priors['outcome']}", markup=False)
    for sentence in priors["sentences"]:
        out.print(f"  {sentence}", markup=False)


def _table(out: "Console", title: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    if not rows:
        return
    table = folding_table(columns, title)
    for row in rows:
        table.add_row(*[_cell(row[column]) for column in columns])
    out.print(table)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%H:%M:%S.%f")[:-3]
    return "" if value is None else str(value)


def _timeline(out: "Console", events: list[dict[str, Any]]) -> None:
    """Print the events of a study, each with the milliseconds since the previous event."""
    table = folding_table(("at", "after ms", "event", "detail"), "Timeline (UTC)")
    before: datetime | None = None
    for event in events:
        at: datetime = event["at"]
        waited = "" if before is None else f"{(at - before).total_seconds() * 1000:.0f}"
        detail = " ".join(f"{key}={value}" for key, value in event["detail"].items())
        table.add_row(at.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3], waited, event["event"], detail)
        before = at
    out.print(table)
