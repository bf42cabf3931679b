"""The command `glam-node worker`, which runs one worker."""

import typer

from glam_node.node.cli.application import SettingsOption, settings_of, settings_path


def worker(ctx: typer.Context, settings: SettingsOption = None) -> None:
    """Run one worker for a node whose broker_url names a Redis. Without one, `serve` starts its own worker."""
    configured = settings_of(ctx, settings)
    from glam_node.node.observe import logs
    from glam_node.node.run.worker import work
    from glam_node.settings.reference import secrets_in

    logs.configure(configured.log.level, configured.log.format, secrets_in(configured))
    work(configured, settings_path(ctx, settings))
