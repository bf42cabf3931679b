"""Data sets of storage commitment requests and replies (PS3.4 Tables J.3-1 and J.3-2)."""

from collections.abc import Iterable, Iterator
from typing import Any

from pydicom.dataset import Dataset

from glam_node.node.domain.commitment import PROCESSING_FAILURE, CommitmentReply, Failure, Reference
from glam_node.node.errors import PermanentError
from glam_node.node.storage.instances import is_valid_uid


class NoCommitment(PermanentError):
    """Error for a data set that is not a valid request or reply; the message is the reason."""


def request_data_set(transaction_uid: str, references: Iterable[Reference]) -> Dataset:
    """Return the Action Information of a request."""
    data_set = Dataset()
    data_set.TransactionUID = transaction_uid
    data_set.ReferencedSOPSequence = [_item(reference) for reference in references]
    return data_set


def report_data_set(report: CommitmentReply) -> Dataset:
    """Return the Event Information of a reply, without sequences that would be empty."""
    data_set = Dataset()
    data_set.TransactionUID = report.transaction_uid
    if report.committed:
        data_set.ReferencedSOPSequence = [_item(reference) for reference in report.committed]
    if report.failed:
        data_set.FailedSOPSequence = [_item(failure.reference, failure.reason) for failure in report.failed]
    return data_set


def requested(data_set: Dataset) -> tuple[str, list[Reference]]:
    """Return the Transaction UID and the instances of a request.

    Raises:
        NoCommitment: The data set is not a valid request.
    """
    references = [reference for reference, _ in _references(data_set, "ReferencedSOPSequence")]
    if not references:
        raise NoCommitment("Referenced SOP Sequence names no instance")
    return _uid(data_set, "TransactionUID"), references


def reported(data_set: Dataset) -> CommitmentReply:
    """Return the reply that a data set contains.

    Raises:
        NoCommitment: The data set is not a valid reply.
    """
    committed = [reference for reference, _ in _references(data_set, "ReferencedSOPSequence")]
    failed = [Failure(reference, _reason(item)) for reference, item in _references(data_set, "FailedSOPSequence")]
    return CommitmentReply(_uid(data_set, "TransactionUID"), committed, failed)


def _item(reference: Reference, reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class_uid
    item.ReferencedSOPInstanceUID = reference.sop_instance_uid
    if reason is not None:
        item.FailureReason = reason
    return item


def _references(data_set: Dataset, sequence: str) -> Iterator[tuple[Reference, Dataset]]:
    for item in _value(data_set, sequence) or ():
        if not isinstance(item, Dataset):
            raise NoCommitment(f"{sequence} is not a sequence")
        yield Reference(_uid(item, "ReferencedSOPClassUID"), _uid(item, "ReferencedSOPInstanceUID")), item


def _uid(data_set: Dataset, keyword: str) -> str:
    uid = str(_value(data_set, keyword) or "")
    if not is_valid_uid(uid):
        raise NoCommitment(f"{keyword} is missing or is not a UID")
    return uid


def _reason(item: Dataset) -> int:
    value = _value(item, "FailureReason")
    return value if isinstance(value, int) else PROCESSING_FAILURE


def _value(data_set: Dataset, keyword: str) -> Any:
    try:
        return data_set.get(keyword)
    except Exception as error:  # pydicom converts a value when it is read, and its converters raise many types
        raise NoCommitment(f"{keyword} cannot be understood ({type(error).__name__})") from error
