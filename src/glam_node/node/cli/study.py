"""The command `glam-node study`, which shows one study."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from glam_node.node.cli.application import (
    JsonOption,
    SettingsOption,
    console,
    print_json,
    sessions_of,
    settings_of,
)

if TYPE_CHECKING:
    from rich.console import Console

    from glam_node.node.db.engine import SessionFactory
    from glam_node.node.domain.study import Study

TO_DECIDE = (
    'Compare both in the archive. `glam-node take-newer {uid} --reason "..."` analyses the newer ones, `glam-node '
    'keep-first {uid} --reason "..."` leaves them.'
)

StudyArgument = Annotated[
    str, typer.Argument(metavar="UID", help="Study Instance UID, as `glam-node studies` shows it.")
]


def known(sessions: "SessionFactory", study_instance_uid: str) -> "Study":
    """Return the study with this UID.

    Raises:
        typer.BadParameter: The node has no such study.
    """
    from glam_node.node.db import studies

    with sessions() as session:
        study = studies.get(session, study_instance_uid)
    if study is None:
        raise typer.BadParameter(f"no study {study_instance_uid} has arrived here. `glam-node studies` lists them.")
    return study


def study(
    ctx: typer.Context, study_instance_uid: StudyArgument, settings: SettingsOption = None, as_json: JsonOption = False
) -> None:
    """Show everything about one study: images, state, jobs, scores, deliveries and a timeline."""
    configured = settings_of(ctx, settings)
    sessions = sessions_of(ctx, configured)
    found = known(sessions, study_instance_uid)
    from glam_node.node.bootstrap import eligibility_rules
    from glam_node.node.workflow.operate.study_description import describe

    description = describe(found, eligibility_rules(configured), sessions, configured.storage.root)
    if as_json:
        print_json(description)
    else:
        _print(description, console())


def _print(study: dict[str, Any], out: "Console") -> None:
    out.print(f"Study {study['study_instance_uid']}", style="bold")
    out.print(f"{study['state']}  {study['rule']}  {study['reason']}")
    if study["standing"] != "FREE":
        out.print(f"{study['standing']}  {study['standing_reason']}")
    if study["newer"]:
        out.print(f"In doubt: {study['newer']['reason']}.", markup=False)
        out.print(f"  {TO_DECIDE.format(uid=study['study_instance_uid'])}", markup=False)
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
    _table(
        out,
        "Deliveries",
        study["deliveries"],
        ("destination", "kind", "sop_instance_uid", "state", "attempt", "failure", "warning"),
    )
    _timeline(out, study["timeline"])


def _table(out: "Console", title: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    if not rows:
        return
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
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
    """Print the events of a study, each with the milliseconds since the event before it."""
    table = Table(title="Timeline (UTC)", title_justify="left")
    for column in ("at", "after ms", "event", "detail"):
        table.add_column(column, overflow="fold")
    before: datetime | None = None
    for event in events:
        at: datetime = event["at"]
        waited = "" if before is None else f"{(at - before).total_seconds() * 1000:.0f}"
        detail = " ".join(f"{key}={value}" for key, value in event["detail"].items())
        table.add_row(at.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3], waited, event["event"], detail)
        before = at
    out.print(table)
