"""The commands that run the processes of a node: `glam-node serve`, `worker` and `receiver`."""

import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from glam_node.node.cli.application import SettingsOption, command_settings, settings_path

if TYPE_CHECKING:
    from glam_node.settings.schema import Settings


def serve(ctx: typer.Context, settings: SettingsOption = None) -> None:
    """Run the node. It starts a receiver, a dispatcher, a sender and, unless broker_url names a Redis, one worker."""
    configured = _settings(ctx, settings, "serve")
    from glam_node.node.run import all_in_one

    def ready(port: str) -> None:
        chosen = configured.console
        scheme = "http" if chosen.certificate is None else "https"
        console = f", console at {scheme}://{chosen.host}:{chosen.port}" if chosen.port else ""
        hospital = f", HL7 at {configured.hl7.host}:{configured.hl7.port}" if configured.hl7.port else ""
        typer.echo(f"glam-node: {_listening(configured, port)}{hospital}{console}")

    all_in_one.serve(configured, settings_path(ctx, settings), ready)


def worker(ctx: typer.Context, settings: SettingsOption = None) -> None:
    """Run one worker for a node whose broker_url names a Redis. Without one, `serve` starts its own worker."""
    configured = _settings(ctx, settings, "worker")
    from glam_node.node.run.worker import work

    work(configured, settings_path(ctx, settings))


def receiver(ctx: typer.Context, settings: SettingsOption = None) -> None:
    """Run an additional receiver for a running node. It shares database and storage and has its own address or port."""
    configured = _settings(ctx, settings, "receiver")
    from glam_node.node.run.single_process import keep_running

    def ready(port: str) -> None:
        typer.echo(f"glam-node: {_listening(configured, port)}")

    keep_running("receiver", configured, settings_path(ctx, settings), ready=ready)


def _listening(settings: "Settings", port: str) -> str:
    """Return the addresses on which the receiver listens, the first of which has this port."""
    host, title, tls = settings.node.host, settings.node.ae_title, settings.tls
    if tls.port is None:
        return f"listening on {host}:{port} as {title}"
    if not tls.plain:
        return f"listening on {host}:{port} (TLS) as {title}"
    return f"listening on {host}:{port} and {host}:{tls.port} (TLS) as {title}"


def _settings(ctx: typer.Context, path: Path | None, command: str) -> "Settings":
    """Load the settings, configure the log as they say, and log the keys of older versions, which are ignored."""
    from glam_node.node.run.skipped_imports import skip_imports

    gc.disable()  # until the modules are imported, since these stay
    skip_imports(command)
    configured = command_settings(ctx, path)
    import structlog

    from glam_node.node.observe import logs
    from glam_node.settings.load import former_keys_in
    from glam_node.settings.reference import secrets_in

    logs.configure(configured.log.level, configured.log.format, secrets_in(configured))
    for problem in former_keys_in(settings_path(ctx, path), os.environ):
        structlog.get_logger(__name__).warning("setting_ignored", setting=problem.key, reason=problem.message)
    return configured
