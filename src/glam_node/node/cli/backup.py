"""The commands `glam-node backup` and `restore`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from glam_node.node.cli.application import EXIT_FINDING, SettingsOption, command_settings, print_error, reading_sessions
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

    Studies that wait for a person, or are set aside, count as unfinished.

    It holds patients' images and identity: keep it as you keep those. Passwords, keys and the model are not in it.
    """
    configured = command_settings(ctx, settings)
    reading_sessions(ctx, configured)
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
            settings=f"# Passwords are shown as ***: enter them again.\n{in_force(configured)}",
            everything=everything,
            now=datetime.now(UTC),
        )
        sessions = open_database(url)
        record_backup(sessions, path, report.images, datetime.now(UTC))
        sessions.kw["bind"].dispose()
    typer.echo(f"{path}: {counted(report.studies, 'study')}, {counted(report.files, 'file')}")
    if report.lost:
        print_error(
            f"{counted(len(report.lost), 'file')} could not be copied, for example {report.lost[0]}. "
            "Check the disk and the storage root."
        )
        raise typer.Exit(EXIT_FINDING)


def restore(
    ctx: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Directory that `glam-node backup` created.")],
    settings: SettingsOption = None,
) -> None:
    """Restore a backup. The storage root and the database must be empty; `serve` continues from there.

    The settings are those of this command; the backup's own, without passwords, are in it as node.toml.
    """
    configured = command_settings(ctx, settings)
    from glam_node.node.bootstrap import database_trouble, prepare_root
    from glam_node.node.db.engine import database_url
    from glam_node.node.run.all_in_one import LOCK_FILE, only_one
    from glam_node.node.workflow.operate.restore import restore as make_again

    root = configured.storage.root.resolve()
    prepare_root(root)
    url = database_url(configured.database_url, root)
    with database_trouble(configured), only_one(root):
        report = make_again(path, url, root, datetime.now(UTC), LOCK_FILE)
    typer.echo(f"{root}: {counted(report.studies, 'study')}, {counted(report.files, 'file')}")
    if report.retired:
        typer.echo(
            f"{counted(report.retired, 'finished study', 'finished studies')} became RETIRED: the backup has no files."
        )
    typer.echo("Next: glam-node doctor, then serve. What was sent to the node after the backup must be sent again.")
