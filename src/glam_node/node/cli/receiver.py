"""The command `glam-node receiver`, which runs an additional receiver."""

import typer

from glam_node.node.cli.application import SettingsOption, settings_of, settings_path


def receiver(ctx: typer.Context, settings: SettingsOption = None) -> None:
    """Run an additional receiver for a running node. It shares database and storage and has its own address or port."""
    configured = settings_of(ctx, settings)
    from glam_node.node.observe import logs
    from glam_node.node.run.alone import keep_running
    from glam_node.settings.reference import secrets_in

    logs.configure(configured.log.level, configured.log.format, secrets_in(configured))
    where = f"{configured.node.host}:%s as {configured.node.ae_title}"
    keep_running(
        "receiver",
        configured,
        settings_path(ctx, settings),
        ready=lambda port: typer.echo(f"glam-node: listening on {where % port}"),
    )
