"""`glam-node retry`"""

from datetime import UTC, datetime

import typer

from glam_node.node.cli.application import SettingsOption, sessions_of, settings_of
from glam_node.node.cli.study import StudyArgument, known


def retry(ctx: typer.Context, study_instance_uid: StudyArgument, settings: SettingsOption = None) -> None:
    """Take up again what was given up for a study; after a change of settings, read it again."""
    configured = settings_of(ctx, settings)
    known(sessions_of(ctx, configured), study_instance_uid)
    from glam_node.node.bootstrap import build_node
    from glam_node.node.workflow.retry import retry_study

    node = build_node(configured)
    ctx.call_on_close(node.sessions.kw["bind"].dispose)
    with node.sessions.begin() as session:
        report = retry_study(session, study_instance_uid, datetime.now(UTC), node.settings_digest)
    typer.echo(str(report))
