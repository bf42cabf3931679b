"""Storage commitment over an association: requests of peers, and their replies to our requests (PS3.4 Annex J)."""

import warnings
from io import BytesIO

import structlog
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import ImplicitVRLittleEndian

from glam_node.node.domain.commitment import (
    ALL_COMMITTED,
    PUSH_MODEL_INSTANCE,
    REQUEST,
    SOME_FAILED,
)
from glam_node.node.errors import NodeError, PermanentError
from glam_node.node.scp import dimse
from glam_node.node.scp.association_context import AssociationContext
from glam_node.node.scp.negotiation import AcceptedContext
from glam_node.node.workflow.deliver.commitment_data_sets import NoCommitment, reported, requested
from glam_node.node.workflow.deliver.commitment_desk import CommitmentDesk

log = structlog.get_logger(__name__)


def commit(
    command: dimse.Command, context: AcceptedContext, encoded: bytes, association: AssociationContext
) -> tuple[int, str]:
    """Process an N-ACTION or N-EVENT-REPORT; return its status and error comment.

    The status is 0x0000 only if the request or reply was recorded in the database.

    Args:
        command: The command.
        context: The presentation context of the command.
        encoded: The data set of the command.
        association: The association, whose receiver records storage commitment.
    """
    calling_ae_title, refusal = association.calling_ae_title, _refusal(command)
    try:
        if refusal is None:
            _take(command, _decoded(encoded, context), calling_ae_title, association.receiver.desk)
            return dimse.SUCCESS, ""
    except NoCommitment as error:
        refusal = dimse.INVALID_ARGUMENT_VALUE, str(error)
    except PermanentError as error:
        refusal = dimse.PROCESSING_FAILURE, str(error)
    except NodeError as error:
        log.error("commitment_not_recorded", calling_ae_title=calling_ae_title, failure=str(error))
        return dimse.PROCESSING_FAILURE, "could not be recorded now; send it again"
    status, reason = refusal
    log.warning("commitment_refused", calling_ae_title=calling_ae_title, status=f"0x{status:04X}", reason=reason)
    return refusal


def _refusal(command: dimse.Command) -> tuple[int, str] | None:
    if command.sop_instance_uid != PUSH_MODEL_INSTANCE:
        return dimse.NO_SUCH_SOP_INSTANCE, f"the SOP instance of storage commitment is {PUSH_MODEL_INSTANCE}"
    if command.command_field == dimse.N_ACTION_RQ and command.type_id != REQUEST:
        return dimse.NO_SUCH_ACTION, "storage commitment has only action type 1"
    if command.command_field == dimse.N_EVENT_REPORT_RQ and command.type_id not in (ALL_COMMITTED, SOME_FAILED):
        return dimse.NO_SUCH_EVENT_TYPE, "storage commitment has only event types 1 and 2"
    return None


def _take(command: dimse.Command, data_set: Dataset, calling_ae_title: str, desk: CommitmentDesk) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if command.command_field == dimse.N_ACTION_RQ:
            desk.request(calling_ae_title, *requested(data_set))
        else:
            desk.report(calling_ae_title, reported(data_set))


def _decoded(encoded: bytes, context: AcceptedContext) -> Dataset:
    implicit = context.transfer_syntax == ImplicitVRLittleEndian
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return read_dataset(BytesIO(encoded), implicit, True)
        except Exception as error:  # the parser of pydicom may raise anything
            raise NoCommitment(f"the data set cannot be understood ({type(error).__name__})") from error
