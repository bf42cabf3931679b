"""The command `glam-node backup`, which copies database, settings and files of a node."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from glam_node.node.cli.application import EXIT_FINDING, SettingsOption, complain, sessions_of, settings_of
from glam_node.node.domain.words import counted


def backup(
    ctx: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Directory to create; it must not exist yet.")],
    settings: SettingsOption = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also copy the files of studies that are delivered, not only their records.")
    ] = False,
) -> None:
    """Back up the node, running or not. Database, settings and the files of unfinished studies go to a directory.

    It holds patients' images and identity: keep it as you keep those. Passwords, keys and the model are not in it.
    """
    configured = settings_of(ctx, settings)
    sessions_of(ctx, configured)
    from glam_node.node.bootstrap import database_trouble
    from glam_node.node.db.engine import database_url, open_database
    from glam_node.node.workflow.operate.backup import back_up
    from glam_node.node.workflow.record.events import record_backup
    from glam_node.settings.reference import in_force

    root = configured.storage.root.resolve()
    url = database_url(configured.database_url, root)
    with database_trouble(configured):
        report = back_up(
            url,
            root,
            path,
            settings=f"# Passwords are shown as ***: put them in.\n{in_force(configured)}",
            everything=everything,
            now=datetime.now(UTC),
        )
        sessions = open_database(url)
        record_backup(sessions, path, report.images, datetime.now(UTC))
        sessions.kw["bind"].dispose()
    typer.echo(f"{path}: {counted(report.studies, 'study')}, {counted(report.files, 'file')}")
    if report.lost:
        complain(
            f"{counted(len(report.lost), 'file')} could not be copied, for example {report.lost[0]}. "
            "Check the disk and the storage root."
        )
        raise typer.Exit(EXIT_FINDING)
