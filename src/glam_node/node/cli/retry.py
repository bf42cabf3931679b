"""The command `glam-node retry`, which retries the failed work of a study."""

import typer

from glam_node.node.cli.application import SettingsOption
from glam_node.node.cli.orders import ReasonOption, carry_out, order_of
from glam_node.node.cli.study import StudyArgument


def retry(
    ctx: typer.Context, study_instance_uid: StudyArgument, reason: ReasonOption = "", settings: SettingsOption = None
) -> None:
    """Retry what was given up for a study. After a change of settings, analyse the study again."""
    from glam_node.node.workflow.operate.retry import retry_study

    carry_out(
        ctx,
        settings,
        study_instance_uid,
        lambda session, node: str(retry_study(session, order_of(study_instance_uid, reason), node.settings_digest)),
    )
