"""The C-STORE service: write each data set to a file as it arrives, and answer with a status (PS3.4 Annex B)."""

import errno
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from glam_node.node.domain.commitment import PUSH_MODEL
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.errors import NodeError, TransientError
from glam_node.node.scp import dimse
from glam_node.node.scp.association_context import AssociationContext
from glam_node.node.scp.contexts import VERIFICATION
from glam_node.node.scp.negotiation import AcceptedContext
from glam_node.node.storage.file_head import file_head
from glam_node.node.storage.instances import IncomingFile, InstanceStore, is_valid_uid
from glam_node.node.workflow.receive.store_instance import (
    CANNOT_UNDERSTAND,
    DATA_SET_DOES_NOT_MATCH,
    Received,
    Refused,
    receive,
)

log = structlog.get_logger(__name__)

MAXIMUM_FRAGMENTS = 256
"""Number of collected fragments after which they are written to the file, however small they are."""


@dataclass
class StoreOperation:
    """A C-STORE whose data set is arriving; after a refusal, the rest of the data set is dropped."""

    command: dimse.Command
    context: AcceptedContext
    association: AssociationContext
    file: IncomingFile | None = None
    refusal: tuple[int, str] | None = None
    fragments: list[memoryview] = field(default_factory=list)

    def write(self, data: memoryview) -> None:
        """Add a fragment, whose memory must not change before `flush`."""
        if self.file is not None:
            self.fragments.append(data)
            if len(self.fragments) >= MAXIMUM_FRAGMENTS:
                self.flush()

    def flush(self) -> None:
        """Write the fragments to the file; their memory may be reused afterwards."""
        fragments, self.fragments = self.fragments, []
        if self.file is None or not fragments:
            return
        try:
            self.file.write(fragments)
        except OSError as error:
            self.fail(error)

    def finish(self) -> tuple[int, str]:
        """Store the instance; return status and error comment.

        The status is 0x0000 only if the file is durable and its row is committed.
        """
        self.flush()
        try:
            if self.file is not None:
                self._receive(self.file)
        except Refused as error:
            self.refusal = (error.status or dimse.PROCESSING_FAILURE, str(error))
        except (NodeError, OSError) as error:
            self.fail(error)
        except Exception as error:
            log.exception("receive_failed", sop_instance_uid=self.command.sop_instance_uid)
            self.fail(error)
        finally:
            self.discard()
        if self.refusal is None:
            return dimse.SUCCESS, ""
        status, reason = self.refusal
        self._record_refusal(status, reason)
        return status, reason

    def discard(self) -> None:
        """Remove the file from `incoming`, unless the instance was stored."""
        if self.file is not None:
            self.file.discard()
            self.file = None

    def _receive(self, file: IncomingFile) -> None:
        received = Received(
            sop_class_uid=self.command.sop_class_uid,
            sop_instance_uid=self.command.sop_instance_uid,
            transfer_syntax_uid=self.context.transfer_syntax,
            file=file,
            study_instance_uid=self.association.study_instance_uid,
        )
        receiver, title = self.association.receiver, self.association.calling_ae_title
        receive(received, title, store=receiver.store, writer=receiver.writer, now=datetime.now(UTC))

    def fail(self, error: Exception) -> None:
        """Refuse the instance because of an error of this node; the sender may send it again."""
        self.refusal = _refusal_for(error, self.association.receiver.store)
        failure = (
            str(error) if isinstance(error, NodeError) else f"{type(error).__name__} {getattr(error, 'errno', '')}"
        )
        log.error("store_failed", sop_instance_uid=self.command.sop_instance_uid[: dimse.LONGEST_UID], failure=failure)
        self.discard()

    def _record_refusal(self, status: int, reason: str) -> None:
        detail: EventDetail = {
            "status": f"0x{status:04X}",
            "reason": reason,
            "calling_ae_title": self.association.calling_ae_title,
            "address": self.association.address,
            "sop_class_uid": self.command.sop_class_uid[: dimse.LONGEST_UID],
            "sop_instance_uid": self.command.sop_instance_uid[: dimse.LONGEST_UID],
        }
        self.association.receiver.on_refused(EventKind.INSTANCE_REFUSED, detail)


def begin_store(command: dimse.Command, context: AcceptedContext, association: AssociationContext) -> StoreOperation:
    """Begin a C-STORE: open a file for the data set, or refuse the instance."""
    storing = StoreOperation(command, context, association)
    storing.refusal = _refusal(command, context)
    if storing.refusal is not None:
        return storing
    receiver = association.receiver
    try:
        if receiver.store.free_bytes() < receiver.minimum_free_bytes:
            storing.refusal = (dimse.OUT_OF_RESOURCES, "too little space is free on the node's disk")
        else:
            storing.file = receiver.store.incoming(
                file_head(command.sop_class_uid, command.sop_instance_uid, context.transfer_syntax)
            )
    except (TransientError, OSError) as error:
        storing.fail(error)
    return storing


def _refusal_for(error: Exception, store: InstanceStore) -> tuple[int, str]:
    """Return status and reason, of at most 64 characters, for an error of this node."""
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT):
        return dimse.OUT_OF_RESOURCES, "the disk is full"
    reason = "could not be stored now; send it again"
    if number == errno.EROFS:
        reason = "the disk of storage.root is mounted read-only"
    elif not store.is_there():
        reason = "storage.root is away: is its share mounted? Send it again later"
    elif isinstance(error, TransientError):
        reason = "could not be recorded in the database; send it again"
    return dimse.PROCESSING_FAILURE, reason


def _refusal(command: dimse.Command, context: AcceptedContext) -> tuple[int, str] | None:
    if command.sop_class_uid != context.abstract_syntax or context.abstract_syntax in (VERIFICATION, PUSH_MODEL):
        return dimse.SOP_CLASS_NOT_SUPPORTED, "the SOP class is not that of the presentation context"
    if not is_valid_uid(command.sop_instance_uid):
        return DATA_SET_DOES_NOT_MATCH, "Affected SOP Instance UID is not a valid UID"
    if not command.has_data_set:
        return CANNOT_UNDERSTAND, "a C-STORE without a data set"
    return None
