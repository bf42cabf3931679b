"""The form of HL7 messages for the destinations of a node, from settings, and the check of their templates."""

from datetime import UTC, datetime

from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.message_form import MessageForm
from glam_node.settings.destination_base import DestinationBase
from glam_node.settings.destinations import HL7Settings
from glam_node.settings.schema import Settings


def message_form(name: str, destination: DestinationBase) -> MessageForm | None:
    """Return the form of the HL7 messages for [destinations.NAME], or None if it gets DICOM objects."""
    if not isinstance(destination, HL7Settings):
        return None
    return MessageForm(
        name,
        destination.template,
        destination.character_set,
        destination.sending_application,
        destination.sending_facility,
        destination.receiving_application,
        destination.receiving_facility,
        destination.result_status,
        destination.acknowledgement == "enhanced",
    )


def template_problems(settings: Settings) -> dict[str, str]:
    """Return the mistake in the template of each HL7 destination whose template cannot be used, by name.

    Each template is filled in with the values of an analysed study and of one that was not analysed.
    """
    forms = [form for name, one in settings.destinations.items() if (form := message_form(name, one)) is not None]
    return {form.destination: problem for form in forms if form.template and (problem := _problem(form))}


def _problem(form: MessageForm) -> str:
    # Imported here because processes that write no results use this module, and do without highdicom.
    from glam_node.node.hl7.template import TemplateProblem
    from glam_node.node.results.example_message import example_contents
    from glam_node.node.results.result_message import write_result_message

    identity = ResultIdentity().at(datetime.now(UTC))
    try:
        for content in example_contents():
            write_result_message(form, content, identity, "2.25.1")
    except TemplateProblem as error:
        return str(error)
    return ""
