"""The commands that run the processes of a node: `glam-node serve`, `worker` and `receiver`."""

import typer

from glam_node.node.cli.application import SettingsOption, command_settings, settings_path


def serve(ctx: typer.Context, settings: SettingsOption = None) -> None:
    """Run the node. It starts a receiver, a dispatcher, a sender and, unless broker_url names a Redis, one worker."""
    from glam_node.node.run.skipped_imports import skip_imports

    skip_imports("all_in_one")
    configured = command_settings(ctx, settings)
    from glam_node.node.observe import logs
    from glam_node.node.run import all_in_one
    from glam_node.settings.reference import secrets_in

    logs.configure(configured.log.level, configured.log.format, secrets_in(configured))
    all_in_one.serve(configured, settings_path(ctx, settings), ready=lambda line: typer.echo(f"glam-node: {line}"))


def worker(ctx: typer.Context, settings: SettingsOption = None) -> None:
    """Run one worker for a node whose broker_url names a Redis. Without one, `serve` starts its own worker."""
    configured = command_settings(ctx, settings)
    from glam_node.node.observe import logs
    from glam_node.node.run.worker import work
    from glam_node.settings.reference import secrets_in

    logs.configure(configured.log.level, configured.log.format, secrets_in(configured))
    work(configured, settings_path(ctx, settings))


def receiver(ctx: typer.Context, settings: SettingsOption = None) -> None:
    """Run an additional receiver for a running node. It shares database and storage and has its own address or port."""
    configured = command_settings(ctx, settings)
    from glam_node.node.observe import logs
    from glam_node.node.run.single_process import keep_running
    from glam_node.settings.reference import secrets_in

    logs.configure(configured.log.level, configured.log.format, secrets_in(configured))
    where = f"{configured.node.host}:%s as {configured.node.ae_title}"
    keep_running(
        "receiver",
        configured,
        settings_path(ctx, settings),
        ready=lambda port: typer.echo(f"glam-node: listening on {where % port}"),
    )
