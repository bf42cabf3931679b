"""The command `glam-node studies`, which lists the studies."""

from typing import Annotated

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


def studies(
    ctx: typer.Context,
    settings: SettingsOption = None,
    limit: Annotated[int, typer.Option(min=1, help="Number of studies to list, most recently received first.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List the studies with their state and its reason."""
    configured = settings_of(ctx, settings)
    from glam_node.node.bootstrap import eligibility_rules
    from glam_node.node.db.studies import recent
    from glam_node.node.workflow.operate.study_description import summary

    with sessions_of(ctx, configured)() as session:
        rows = [summary(study, eligibility_rules(configured)) for study in recent(session, limit)]
    if as_json:
        print_json(rows)
        return
    if not rows:
        typer.echo(f"No study yet. {configured.node.ae_title} waits on port {configured.node.port}.")
        return
    table = Table()
    for column in ("study_instance_uid", "state", "views", "last_received_at (UTC)", "reason"):
        table.add_column(column, overflow="fold")
    for row in rows:
        at = row["last_received_at"].strftime("%Y-%m-%d %H:%M:%S")
        state = row["state"] if row["standing"] == "FREE" else f"{row['state']}, {row['standing']}"
        table.add_row(row["study_instance_uid"], state, row["views"], at, row["reason"] or row["rule"])
    console().print(table)
