"""The command `glam-node restore`, which makes a node from a backup."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from glam_node.node.cli.application import SettingsOption, settings_of
from glam_node.node.domain.words import counted


def restore(
    ctx: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Directory that `glam-node backup` created.")],
    settings: SettingsOption = None,
) -> None:
    """Restore a backup. The storage root and the database must be empty; `serve` continues from there.

    The settings are those of this command; the backup's own, without passwords, are in it as node.toml.
    """
    configured = settings_of(ctx, settings)
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
