"""The command `glam-node hl7`, which shows HL7 messages and their template."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from glam_node.node.cli.application import SettingsOption, command_settings, reading_sessions
from glam_node.node.cli.study import known_study

if TYPE_CHECKING:
    from glam_node.node.results.message_form import MessageForm
    from glam_node.settings.schema import Settings

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Show HL7 messages and their template.")


@app.command()
def template() -> None:
    """Print the built-in template of messages, to copy and change it."""
    from glam_node.node.hl7.template import read_template
    from glam_node.node.results.message_form import BUILT_IN_TEMPLATE

    typer.echo(read_template(BUILT_IN_TEMPLATE), nl=False)


@app.command()
def preview(
    ctx: typer.Context,
    study_instance_uid: Annotated[
        str, typer.Argument(metavar="[UID]", help="Study Instance UID. Default: a made-up study.")
    ] = "",
    destination: Annotated[
        str, typer.Option(help="The NAME of a [destinations.NAME] of kind hl7. Default: the first one.")
    ] = "",
    settings: SettingsOption = None,
) -> None:
    """Show the HL7 message of a study, one segment a line. Nothing is sent, and the patient is a made-up one."""
    configured = command_settings(ctx, settings)
    form = _form(configured, destination)
    from glam_node.node.bootstrap import result_identity
    from glam_node.node.hl7.message import CHARACTER_SETS

    identity = result_identity(configured)
    if study_instance_uid:
        from glam_node.node.storage.instances import InstanceStore
        from glam_node.node.workflow.operate.message_preview import preview_message

        sessions = reading_sessions(ctx, configured)
        study = known_study(sessions, study_instance_uid)
        message = preview_message(form, study, identity, sessions, InstanceStore(configured.storage.root))
    else:
        from glam_node.node.results.example_message import example_contents
        from glam_node.node.results.result_message import write_result_message

        message = write_result_message(form, example_contents()[0], identity.at(datetime.now(UTC)), "example")
    typer.echo(message.decode(CHARACTER_SETS[form.character_set][1]).replace("\r", "\n"), nl=False)


def _form(settings: "Settings", destination: str) -> "MessageForm":
    """Return the form of the messages for a destination, or the default form if there is no HL7 destination.

    Raises:
        typer.BadParameter: The chosen destination is not of kind hl7.
    """
    from glam_node.node.bootstrap.messages import message_form
    from glam_node.node.results.message_form import MessageForm

    forms = {name: form for name, one in settings.destinations.items() if (form := message_form(name, one))}
    if destination and destination not in forms:
        names = ", ".join(forms) or "none"
        raise typer.BadParameter(f'there is no [destinations.{destination}] of kind = "hl7"; there are: {names}.')
    chosen = destination or next(iter(forms), "")
    return forms[chosen] if chosen else MessageForm("NAME")
