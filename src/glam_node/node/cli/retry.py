"""`glam-node retry`"""

from datetime import UTC, datetime

import typer

from glam_node.node.cli.application import SettingsOption, node_of, settings_of
from glam_node.node.cli.study import StudyArgument, known


def retry(ctx: typer.Context, study_instance_uid: StudyArgument, settings: SettingsOption = None) -> None:
    """Take up again what was given up for a study; after a change of settings, read it again."""
    configured = settings_of(ctx, settings)
    node = node_of(ctx, configured)
    known(node.sessions, study_instance_uid)
    from glam_node.node.workflow.retry import retry_study

    with node.sessions.begin() as session:
        report = retry_study(session, study_instance_uid, datetime.now(UTC), node.settings_digest)
    typer.echo(str(report))
