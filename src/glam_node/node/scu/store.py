"""Storage SCU: result objects go to an archive as they lie on disk."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID
from pynetdicom import _config, build_context
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from glam_node.node.domain.ports import OutgoingInstance, StoreOutcome
from glam_node.node.errors import NodeError, PermanentError, TransientError
from glam_node.node.scu.association import Peer, SOPClassRefused, associated, lost, nothing_accepted
from glam_node.node.scu.syntaxes import UNCOMPRESSED, converted, possible

log = structlog.get_logger(__name__)

# Read by pynetdicom's send_c_store alone: a file goes out as it is, in pieces, instead of being decoded and encoded.
_config.STORE_SEND_CHUNKED_DATASET = True


SOP_CLASS_NOT_SUPPORTED = 0x0122
"""PS3.7 C.5.6"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a range of C-STORE statuses means for us."""

    first: int
    last: int
    stored: bool
    transient: bool
    meaning: str
    remedy: str


# PS3.4 Table B.2-1 and PS3.7 Annex C; the first range that holds the status counts.
ANSWERS = (
    Answer(0x0000, 0x0000, True, False, "success", ""),
    Answer(0x0001, 0x0001, True, False, "stored, optional attributes not supported", ""),
    Answer(0x0107, 0x0107, True, False, "stored, attribute list error", ""),
    Answer(0x0111, 0x0111, True, False, "it has this SOP Instance already", ""),
    Answer(0x0116, 0x0116, True, False, "stored, attribute value out of range", ""),
    Answer(0xB000, 0xBFFF, True, False, "stored, with elements coerced or discarded", ""),
    Answer(0x0110, 0x0110, False, True, "processing failure", "It is tried again; look into the log of the archive."),
    Answer(0x0210, 0x0210, False, True, "duplicate invocation", "It is tried again."),
    Answer(0x0213, 0x0213, False, True, "resource limitation", "It is tried again; make room at the archive."),
    Answer(0xA700, 0xA7FF, False, True, "out of resources", "It is tried again; make room at the archive."),
    Answer(
        SOP_CLASS_NOT_SUPPORTED,
        SOP_CLASS_NOT_SUPPORTED,
        False,
        False,
        "SOP class not supported",
        "Have the archive accept it, or take it out of destinations.{name}.results.",
    ),
    Answer(0x0124, 0x0124, False, False, "not authorized", "Give {calling_ae_title} the right to store there."),
    Answer(0x0100, 0x02FF, False, False, "invalid object or request", "Look into the log of the archive."),
    Answer(0xA900, 0xA9FF, False, False, "data set does not match SOP class", "Look into the log of the archive."),
    Answer(0xC000, 0xCFFF, False, False, "cannot understand", "Look into the log of the archive."),
    Answer(0x0000, 0xFFFF, False, True, "unknown status", "It is tried again; look into the log of the archive."),
)


class CStoreDestination:
    """An archive reached by C-STORE; every call is one association."""

    def __init__(self, peer: Peer, transfer_syntaxes: Sequence[str] = UNCOMPRESSED) -> None:
        """`transfer_syntaxes` (UIDs) are proposed in this order, beside what an encapsulated file is in."""
        self._peer = peer
        self._transfer_syntaxes = tuple(transfer_syntaxes)

    @property
    def name(self) -> str:
        """The NAME of [destinations.NAME]."""
        return self._peer.name

    def store(self, instances: Sequence[OutgoingInstance]) -> list[StoreOutcome]:
        """One outcome per instance, in order, each read from its own answer; never raises for a failing peer."""
        outcomes: list[StoreOutcome] = []
        if not instances:
            return outcomes
        try:
            with associated(self._peer, contexts_for(instances, self._transfer_syntaxes)) as association:
                for message_id, instance in enumerate(instances, start=1):
                    outcomes.append(self._store_one(association, instance, message_id % 0x10000))
        except NodeError as error:
            # A rejection says nothing of the objects: when a person has mended the AE title they go out by themselves.
            rejected = error.status is not None
            transient = rejected or isinstance(error, TransientError)
            outcomes.extend(_failed(instance, error, transient) for instance in instances[len(outcomes) :])
        return outcomes

    def _store_one(self, association: Association, instance: OutgoingInstance, message_id: int) -> StoreOutcome:
        try:
            return self._outcome(instance, self._send(association, instance, message_id))
        except PermanentError as error:
            return _failed(instance, error, transient=False)

    def _send(self, association: Association, instance: OutgoingInstance, message_id: int) -> int:
        """The status that came back. Raises TransientError when the association is lost."""
        syntax = accepted_syntax(association, instance, self._transfer_syntaxes)
        if syntax is None:
            raise nothing_accepted(self._peer, contexts_for([instance], self._transfer_syntaxes))
        started = time.monotonic()
        try:
            data_set = instance.path if syntax == instance.transfer_syntax_uid else converted(instance.path, syntax)
            answer = association.send_c_store(data_set, msg_id=message_id)
        except (OSError, InvalidDicomError, AttributeError, ValueError) as error:
            raise PermanentError(f"{instance.path} cannot be sent: {error}. Restore the file.") from error
        except RuntimeError as error:
            raise lost(self._peer, f"C-STORE of {instance.sop_instance_uid}", timed_out=False) from error
        if "Status" not in answer:
            timed_out = time.monotonic() - started >= self._peer.timeout
            raise lost(self._peer, f"C-STORE of {instance.sop_instance_uid}", timed_out)
        return int(answer.Status)

    def _outcome(self, instance: OutgoingInstance, status: int) -> StoreOutcome:
        answer = next(answer for answer in ANSWERS if answer.first <= status <= answer.last)
        if answer.stored:
            if status:
                log.warning(
                    "result_stored_with_warning",
                    destination=self.name,
                    sop_instance_uid=instance.sop_instance_uid,
                    status=f"0x{status:04X}",
                    meaning=answer.meaning,
                )
            return StoreOutcome(instance.sop_instance_uid, True, status, False, "")
        remedy = answer.remedy.format(name=self.name, calling_ae_title=self._peer.calling_ae_title)
        failure = (
            f"{self._peer} answered 0x{status:04X} ({answer.meaning}) "
            f"to C-STORE of {UID(instance.sop_class_uid).name} {instance.sop_instance_uid}. {remedy}"
        )
        refused = status == SOP_CLASS_NOT_SUPPORTED
        return StoreOutcome(instance.sop_instance_uid, False, status, answer.transient, failure, refused)


def contexts_for(instances: Sequence[OutgoingInstance], syntaxes: Sequence[str]) -> list[PresentationContext]:
    """One context per SOP class and transfer syntax, the preferred ones first."""
    proposed = {
        (instance.sop_class_uid, syntax): None
        for instance in instances
        for syntax in possible(instance.path, instance.transfer_syntax_uid, syntaxes)
    }
    return [build_context(sop_class_uid, [syntax]) for sop_class_uid, syntax in proposed]


def accepted_syntax(association: Association, instance: OutgoingInstance, syntaxes: Sequence[str]) -> str | None:
    """The first of those that the instance can be sent in which the peer accepts."""
    accepted = {(str(context.abstract_syntax), context.transfer_syntax[0]) for context in association.accepted_contexts}
    fitting = possible(instance.path, instance.transfer_syntax_uid, syntaxes)
    return next((syntax for syntax in fitting if (instance.sop_class_uid, syntax) in accepted), None)


def _failed(instance: OutgoingInstance, error: NodeError, transient: bool) -> StoreOutcome:
    refused = isinstance(error, SOPClassRefused)
    return StoreOutcome(instance.sop_instance_uid, False, error.status, transient, str(error), refused)
