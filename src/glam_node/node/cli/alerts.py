"""The command `glam-node alerts test`, which sends a test alert."""

from datetime import UTC, datetime

import typer

from glam_node.node.cli.application import EXIT_FINDING, SettingsOption, command_settings

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Test the alerts that [alerts] sends by webhook and mail."
)


@app.command()
def test(ctx: typer.Context, settings: SettingsOption = None) -> None:
    """Send a test alert to the webhook and the mail server. Exit with 1 if one refuses it, or if none is configured."""
    configured = command_settings(ctx, settings)
    from glam_node.node.bootstrap import alert_channels
    from glam_node.node.domain.alert import AlertMessage, Phase
    from glam_node.node.errors import NodeError

    channels = alert_channels(configured)
    failed = not channels
    if not channels:
        typer.echo(
            "No alert channel is configured, so nobody receives alerts. Set alerts.webhook_url, or "
            "alerts.smtp_host with alerts.sender and alerts.recipients."
        )
    for name, channel in channels.items():
        message = AlertMessage(
            0, "test", "", Phase.BEGINS, name, "This is a test.", "Nothing has to be done.", datetime.now(UTC)
        )
        try:
            channel(message)
            typer.echo(f"ok    {name}")
        except NodeError as error:
            failed = True
            typer.echo(f"FAIL  {name}: {error}")
    if failed:
        raise typer.Exit(EXIT_FINDING)
