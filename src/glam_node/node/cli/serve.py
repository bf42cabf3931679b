"""The command `glam-node serve`, which runs a node."""

import typer

from glam_node.node.cli.application import SettingsOption, settings_of, settings_path


def serve(ctx: typer.Context, settings: SettingsOption = None) -> None:
    """Run the node. It starts a receiver, a dispatcher, a sender and, unless broker_url names a Redis, one worker."""
    from glam_node.node.run.left_out import leave_out

    leave_out("all_in_one")
    configured = settings_of(ctx, settings)
    from glam_node.node.observe import logs
    from glam_node.node.run import all_in_one
    from glam_node.settings.reference import secrets_in

    logs.configure(configured.log.level, configured.log.format, secrets_in(configured))
    all_in_one.serve(configured, settings_path(ctx, settings), ready=lambda line: typer.echo(f"glam-node: {line}"))
