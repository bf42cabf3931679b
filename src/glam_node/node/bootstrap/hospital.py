"""Construction of the part of a node that takes HL7 messages of the hospital, from settings."""

from functools import partial

from glam_node.node.bootstrap.base_node import BaseNode, database_trouble
from glam_node.node.domain.imaging_order import OrderStep
from glam_node.node.domain.patient_change import ChangePolicy
from glam_node.node.hl7.message import CHARACTER_SETS
from glam_node.node.workflow.operate.hospital_messages import HospitalMessages, MessagePolicy, RecordRefusal
from glam_node.node.workflow.operate.imaging_orders import OrderPolicy
from glam_node.settings.destinations import HL7Settings
from glam_node.settings.hl7 import HL7ListenerSettings
from glam_node.settings.schema import Settings

_STEPS = {"final_report": OrderStep.REPORTED, "completed_order": OrderStep.COMPLETED}


def change_policy(chosen: HL7ListenerSettings) -> ChangePolicy:
    """Return what corrections and merges of patients mean."""
    return ChangePolicy(
        chosen.assigning_authority, chosen.patient_corrected == "follow", chosen.patient_merged == "follow"
    )


def message_policy(settings: Settings) -> MessagePolicy:
    """Return which messages are accepted, and what they do."""
    chosen = settings.hl7
    senders = [one.partition("|") for one in chosen.senders]
    own = [one for one in settings.destinations.values() if isinstance(one, HL7Settings)]
    return MessagePolicy(
        senders=frozenset((application, facility) for application, _, facility in senders),
        application=chosen.application,
        own_results=frozenset((one.sending_application, one.sending_facility) for one in own),
        undeclared=CHARACTER_SETS[chosen.character_set][1],
        accession_fields=chosen.accession_number,
        changes=change_policy(chosen),
        orders=OrderPolicy(
            bool(chosen.fetch_from),
            chosen.fetch_time,
            frozenset(_STEPS[one] for one in chosen.release_on),
            chosen.assigning_authority,
        ),
    )


def hospital_messages(node: BaseNode, record: RecordRefusal) -> HospitalMessages:
    """Return the function behind the port for HL7 messages."""
    guard = partial(database_trouble, node.settings)
    return HospitalMessages(node.sessions, message_policy(node.settings), record, guard)
