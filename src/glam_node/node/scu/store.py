"""Storage SCU: sends result objects to an archive."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID
from pynetdicom import _config, build_context
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from glam_node.node.domain.ports import OutgoingInstance, StoreOutcome
from glam_node.node.errors import NodeError, PermanentError, TransientError
from glam_node.node.scu.answer_timeouts import ANSWER_TIMEOUT_FACTOR
from glam_node.node.scu.association import (
    RemoteAE,
    SOPClassRefused,
    lost_association,
    no_context_accepted,
    open_association,
)
from glam_node.node.scu.transfer_syntaxes import UNCOMPRESSED, convert, sendable_syntaxes
from glam_node.node.workflow.record.failure import describe

# With this option, pynetdicom's send_c_store sends a file unchanged and in pieces, without decoding and encoding it.
_config.STORE_SEND_CHUNKED_DATASET = True


SOP_CLASS_NOT_SUPPORTED = 0x0122
"""Status "Refused: SOP Class not supported" (PS3.7 C.5.6)."""
LONGEST_COMMENT = 64
"""Maximum length of Error Comment (0000,0902), an LO, in characters."""
_IDENTITY = ("PatientName", "PatientID", "PatientBirthDate")


@dataclass(frozen=True, slots=True)
class StatusMeaning:
    """Meaning of a range of C-STORE statuses."""

    first: int
    last: int
    stored: bool
    transient: bool
    meaning: str
    remedy: str


# PS3.4 Table B.2-1 and PS3.7 Annex C. The first range that contains a status applies.
STATUS_MEANINGS = (
    StatusMeaning(0x0000, 0x0000, True, False, "success", ""),
    StatusMeaning(0x0001, 0x0001, True, False, "stored, optional attributes not supported", ""),
    StatusMeaning(0x0107, 0x0107, True, False, "stored, attribute list error", ""),
    StatusMeaning(0x0111, 0x0111, True, False, "the archive already has this SOP Instance", ""),
    StatusMeaning(0x0116, 0x0116, True, False, "stored, attribute value out of range", ""),
    StatusMeaning(0xB000, 0xB000, True, False, "stored, elements coerced", ""),
    StatusMeaning(0xB006, 0xB006, True, False, "stored, elements discarded", ""),
    StatusMeaning(0xB007, 0xB007, True, False, "stored, data set does not match SOP class", ""),
    StatusMeaning(0xB000, 0xBFFF, True, False, "stored, with a warning", ""),
    StatusMeaning(0x0110, 0x0110, False, True, "processing failure", "The node tries again. Check the archive's log."),
    StatusMeaning(0x0210, 0x0210, False, True, "duplicate invocation", "The node tries again."),
    StatusMeaning(
        0x0213, 0x0213, False, True, "resource limitation", "The node tries again. Free space at the archive."
    ),
    StatusMeaning(0xA700, 0xA7FF, False, True, "out of resources", "The node tries again. Free space at the archive."),
    StatusMeaning(
        SOP_CLASS_NOT_SUPPORTED,
        SOP_CLASS_NOT_SUPPORTED,
        False,
        False,
        "SOP class not supported",
        "Have the archive accept it, or take it out of destinations.{name}.results.",
    ),
    StatusMeaning(
        0x0124, 0x0124, False, False, "not authorized", "Allow {calling_ae_title} at the archive to store objects."
    ),
    StatusMeaning(0x0100, 0x02FF, False, False, "invalid object or request", "Check the archive's log."),
    StatusMeaning(0xA900, 0xA9FF, False, False, "data set does not match SOP class", "Check the archive's log."),
    StatusMeaning(0xC000, 0xCFFF, False, False, "cannot understand", "Check the archive's log."),
    StatusMeaning(0x0000, 0xFFFF, False, True, "unknown status", "The node tries again. Check the archive's log."),
)


class CStoreDestination:
    """An archive that stores results by C-STORE; each call of `store` is one association.

    Args:
        peer: The archive.
        transfer_syntaxes: UIDs of the transfer syntaxes to propose, in this order, in addition to those of encapsulated
            files.
    """

    def __init__(self, peer: RemoteAE, transfer_syntaxes: Sequence[str] = UNCOMPRESSED) -> None:
        self._peer = peer
        self._transfer_syntaxes = tuple(transfer_syntaxes)

    @property
    def name(self) -> str:
        """The NAME of [destinations.NAME]."""
        return self._peer.name

    def store(self, instances: Sequence[OutgoingInstance]) -> list[StoreOutcome]:
        """Send instances and return the outcome of each, in order, from its own answer.

        No error is raised if the peer fails; the outcomes state the failure.
        """
        outcomes: list[StoreOutcome] = []
        if not instances:
            return outcomes
        is_open = False
        try:
            contexts = contexts_for(instances, self._transfer_syntaxes)
            # An archive that works on an object for a long time is not dead.
            with open_association(self._peer, contexts, answer_timeout_factor=ANSWER_TIMEOUT_FACTOR) as association:
                is_open = True
                for message_id, instance in enumerate(instances, start=1):
                    outcomes.append(self._store_one(association, instance, message_id % 0x10000))
        except _Interrupted as error:
            outcomes.append(_failed(instances[len(outcomes)], error, broke_off=True))
            outcomes += _unsent(instances[len(outcomes) :], error)
        except SOPClassRefused as error:
            outcomes += [_failed(instance, error) for instance in instances]
        except NodeError as error:
            # If the association ends before any object is answered, the object that was being sent may be the cause.
            if is_open and all(outcome.status is None for outcome in outcomes):
                outcomes.append(_failed(instances[len(outcomes)], error, broke_off=True))
            outcomes += _unsent(instances[len(outcomes) :], error)
        return outcomes

    def _store_one(self, association: Association, instance: OutgoingInstance, message_id: int) -> StoreOutcome:
        try:
            status, comment = self._send(association, instance, message_id)
        except (PermanentError, _Unreadable) as error:
            return _failed(instance, error)
        return self._outcome(instance, status, comment)

    def _send(self, association: Association, instance: OutgoingInstance, message_id: int) -> tuple[int, str]:
        """Return the status and the comment of the answer.

        Raises:
            TransientError: The association can no longer be used.
            _Unreadable: The file cannot be read.
            SOPClassRefused: The peer accepts no transfer syntax of the object.
        """
        syntax = accepted_syntax(association, instance, self._transfer_syntaxes)
        if syntax is None:
            raise no_context_accepted(self._peer, contexts_for([instance], self._transfer_syntaxes))
        asked = f"C-STORE of {instance.sop_instance_uid}"
        data_set = _readable(instance, syntax)
        try:
            answer = association.send_c_store(data_set, msg_id=message_id)
        except RuntimeError as error:
            raise lost_association(self._peer, asked, association) from error
        except Exception as error:
            raise _Interrupted(_unreadable(instance, error)) from error
        if "Status" not in answer:
            raise lost_association(self._peer, asked, association)
        return int(answer.Status), str(answer.get("ErrorComment") or "")

    def _outcome(self, instance: OutgoingInstance, status: int, comment: str) -> StoreOutcome:
        answer = next(answer for answer in STATUS_MEANINGS if answer.first <= status <= answer.last)
        if answer.stored:
            warning = warning_of(instance, status, answer.meaning, comment) if status else ""
            return StoreOutcome(instance.sop_instance_uid, True, status, False, "", warning=warning)
        remedy = answer.remedy.format(name=self.name, calling_ae_title=self._peer.calling_ae_title)
        failure = (
            f"{self._peer} answered 0x{status:04X} ({answer.meaning}) "
            f"to C-STORE of {UID(instance.sop_class_uid).name} {instance.sop_instance_uid}. {remedy}"
        )
        refused = status == SOP_CLASS_NOT_SUPPORTED
        return StoreOutcome(instance.sop_instance_uid, False, status, answer.transient, failure, refused)


class _Unreadable(TransientError):
    """The file cannot be read at present; no part of it was sent."""


class _Interrupted(TransientError):
    """The file could not be read to its end while it was sent, so that the association can no longer be used."""


def _readable(instance: OutgoingInstance, syntax: str) -> Path | Dataset:
    """Return the file, or the data set in another transfer syntax.

    Raises:
        _Unreadable: The file cannot be read or converted.
    """
    try:
        if syntax != instance.transfer_syntax_uid:
            return convert(instance.path, syntax)
        with instance.path.open("rb"):
            return instance.path
    except Exception as error:
        raise _Unreadable(_unreadable(instance, error)) from error


def _unreadable(instance: OutgoingInstance, error: Exception) -> str:
    return f"{instance.path} cannot be sent: {describe(error)}. The node tries again. Restore the file if that fails."


def warning_of(instance: OutgoingInstance, status: int, meaning: str, comment: str) -> str:
    """Return an archive's warning about a stored object in words, without a comment that names the patient."""
    said = "".join(one if one.isprintable() else " " for one in comment).strip()[:LONGEST_COMMENT]
    if said and _names_the_patient(instance, said):
        said = "its comment names the patient and is left out"
    return f"0x{status:04X} ({meaning})" + (f": {said}" if said else "")


def _names_the_patient(instance: OutgoingInstance, text: str) -> bool:
    """Return whether a text contains, or may contain, the name, ID or birth date of an object's patient."""
    try:
        header = dcmread(instance.path, stop_before_pixels=True, specific_tags=list(_IDENTITY))
    except (OSError, InvalidDicomError):
        return True
    values = [re.split(r"[\^=\\\s]+", str(header.get(keyword) or "")) for keyword in _IDENTITY]
    return any(len(part) > 1 and part.casefold() in text.casefold() for parts in values for part in parts)


def contexts_for(instances: Sequence[OutgoingInstance], syntaxes: Sequence[str]) -> list[PresentationContext]:
    """Return one presentation context for each SOP class and transfer syntax, the preferred ones first."""
    proposed = {
        (instance.sop_class_uid, syntax): None
        for instance in instances
        for syntax in sendable_syntaxes(instance.path, instance.transfer_syntax_uid, syntaxes)
    }
    return [build_context(sop_class_uid, [syntax]) for sop_class_uid, syntax in proposed]


def accepted_syntax(association: Association, instance: OutgoingInstance, syntaxes: Sequence[str]) -> str | None:
    """Return the first transfer syntax that suits the instance and that the peer accepts, or None."""
    accepted = {(str(context.abstract_syntax), context.transfer_syntax[0]) for context in association.accepted_contexts}
    fitting = sendable_syntaxes(instance.path, instance.transfer_syntax_uid, syntaxes)
    return next((syntax for syntax in fitting if (instance.sop_class_uid, syntax) in accepted), None)


def _failed(instance: OutgoingInstance, error: NodeError, *, broke_off: bool = False) -> StoreOutcome:
    transient, refused = isinstance(error, TransientError), isinstance(error, SOPClassRefused)
    uid = instance.sop_instance_uid
    return StoreOutcome(uid, False, error.status, transient, str(error), refused, broke_off=broke_off)


def _unsent(instances: Sequence[OutgoingInstance], error: NodeError) -> list[StoreOutcome]:
    """Return outcomes for objects that were not sent, because the association was rejected or ended.

    They are transient: once a person has corrected the cause, the objects are sent without further action.
    """
    return [StoreOutcome(one.sop_instance_uid, False, None, True, str(error), reached=False) for one in instances]
