"""The data sets of storage commitment, as requests and reports have them (PS3.4 Tables J.3-1 and J.3-2)."""

from collections.abc import Iterable, Iterator
from typing import Any

from pydicom.dataset import Dataset

from glam_node.node.domain.commitment import PROCESSING_FAILURE, Failure, Reference, Report
from glam_node.node.errors import PermanentError
from glam_node.node.storage.instances import is_valid_uid


class NoCommitment(PermanentError):
    """The data set asks or tells nothing that can be understood; the message says why."""


def request_data_set(transaction_uid: str, references: Iterable[Reference]) -> Dataset:
    """Action Information of a request."""
    data_set = Dataset()
    data_set.TransactionUID = transaction_uid
    data_set.ReferencedSOPSequence = [_item(reference) for reference in references]
    return data_set


def report_data_set(report: Report) -> Dataset:
    """Event Information of a report; a sequence that would be empty is left out."""
    data_set = Dataset()
    data_set.TransactionUID = report.transaction_uid
    if report.committed:
        data_set.ReferencedSOPSequence = [_item(reference) for reference in report.committed]
    if report.failed:
        data_set.FailedSOPSequence = [_item(failure.reference, failure.reason) for failure in report.failed]
    return data_set


def requested(data_set: Dataset) -> tuple[str, list[Reference]]:
    """Transaction UID and instances of a request. Raises NoCommitment."""
    references = [reference for reference, _ in _references(data_set, "ReferencedSOPSequence")]
    if not references:
        raise NoCommitment("Referenced SOP Sequence names no instance")
    return _uid(data_set, "TransactionUID"), references


def reported(data_set: Dataset) -> Report:
    """What a report says. Raises NoCommitment."""
    committed = [reference for reference, _ in _references(data_set, "ReferencedSOPSequence")]
    failed = [Failure(reference, _reason(item)) for reference, item in _references(data_set, "FailedSOPSequence")]
    return Report(_uid(data_set, "TransactionUID"), committed, failed)


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
            raise NoCommitment(f"{sequence} is no sequence")
        yield Reference(_uid(item, "ReferencedSOPClassUID"), _uid(item, "ReferencedSOPInstanceUID")), item


def _uid(data_set: Dataset, keyword: str) -> str:
    uid = str(_value(data_set, keyword) or "")
    if not is_valid_uid(uid):
        raise NoCommitment(f"{keyword} is missing or no UID")
    return uid


def _reason(item: Dataset) -> int:
    value = _value(item, "FailureReason")
    return value if isinstance(value, int) else PROCESSING_FAILURE


def _value(data_set: Dataset, keyword: str) -> Any:
    try:
        return data_set.get(keyword)
    except Exception as error:  # pydicom converts on access and raises whatever its converters raise
        raise NoCommitment(f"{keyword} cannot be understood ({type(error).__name__})") from error
