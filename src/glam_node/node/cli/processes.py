"""The commands that run the processes of a node: `glam-node serve`, `worker` and `receiver`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from glam_node.node.cli.application import SettingsOption, command_settings, settings_path

if TYPE_CHECKING:
    from glam_node.settings.schema import Settings


def serve(ctx: typer.Context, settings: SettingsOption = None) -> None:
    """Run the node. It starts a receiver, a dispatcher, a sender and, unless broker_url names a Redis, one worker."""
    from glam_node.node.run.skipped_imports import skip_imports

    skip_imports("all_in_one")
    configured = _settings(ctx, settings)
    from glam_node.node.run import all_in_one

    all_in_one.serve(configured, settings_path(ctx, settings), ready=lambda line: typer.echo(f"glam-node: {line}"))


def worker(ctx: typer.Context, settings: SettingsOption = None) -> None:
    """Run one worker for a node whose broker_url names a Redis. Without one, `serve` starts its own worker."""
    configured = _settings(ctx, settings)
    from glam_node.node.run.worker import work

    work(configured, settings_path(ctx, settings))


def receiver(ctx: typer.Context, settings: SettingsOption = None) -> None:
    """Run an additional receiver for a running node. It shares database and storage and has its own address or port."""
    configured = _settings(ctx, settings)
    from glam_node.node.run.single_process import keep_running

    where = f"{configured.node.host}:%s as {configured.node.ae_title}"
    keep_running(
        "receiver",
        configured,
        settings_path(ctx, settings),
        ready=lambda port: typer.echo(f"glam-node: listening on {where % port}"),
    )


def _settings(ctx: typer.Context, path: Path | None) -> "Settings":
    """Load the settings, configure the log as they say, and log the keys of older versions, which are ignored."""
    configured = command_settings(ctx, path)
    import structlog

    from glam_node.node.observe import logs
    from glam_node.settings.load import former_keys_in
    from glam_node.settings.reference import secrets_in

    logs.configure(configured.log.level, configured.log.format, secrets_in(configured))
    for problem in former_keys_in(settings_path(ctx, path), os.environ):
        structlog.get_logger(__name__).warning("setting_ignored", setting=problem.key, reason=problem.message)
    return configured
