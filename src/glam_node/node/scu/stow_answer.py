"""Parser of answers to STOW-RS requests (PS3.18 10.5.3 and Annex F), including deviations that real servers send."""

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

OK = 200
_REFERENCED, _FAILED, _OTHERS = "00081199", "00081198", "0008119A"
_UID, _FAILURE_REASON, _WARNING_REASON = "00081155", "00081197", "00081196"
_TAG = re.compile("[0-9A-F]{8}")

DataSet = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StowAnswer:
    """A server's statements about the objects of one request."""

    status: int
    stored: Mapping[str, int]
    """SOP Instance UID -> Warning Reason, 0 if there is none."""
    failed: Mapping[str, int]
    """SOP Instance UID -> Failure Reason, 0 if none is stated. The UID is empty if the object is not named."""
    is_dicom: bool
    """True if the body is empty or a DICOMweb answer, rather than the page of a proxy."""
    is_page: bool
    """True if the body is a web page or other markup that is not DICOM."""

    def has_stored(self, uid: str) -> bool:
        """Return whether the object that was sent is stored.

        If the answer names no object, status 200 means that the server stored all of them (PS3.18 Table 10.5.3-1).
        """
        if uid in self.stored:
            return True
        return self.status == OK and self.is_dicom and not self.stored and not self.failed

    def reason_of(self, uid: str) -> int:
        """Return the Failure Reason of the object that was sent, or 0 if none is stated."""
        return self.failed.get(uid) or self.failed.get("", 0)


def read_answer(status: int, content: bytes) -> StowAnswer:
    """Parse an answer in DICOM JSON (one data set or a list) or DICOM XML, whatever Content Type it states."""
    text = content.decode("utf-8-sig", errors="replace").strip()
    data_sets = _data_sets(text)
    return StowAnswer(
        status,
        dict(_reasons(data_sets or [], (_REFERENCED,), _WARNING_REASON)),
        dict(_reasons(data_sets or [], (_FAILED, _OTHERS), _FAILURE_REASON)),
        data_sets is not None,
        data_sets is None and text.startswith("<"),
    )


def _data_sets(text: str) -> list[DataSet] | None:
    """Return the data sets of a body, or None if it is neither empty nor DICOM."""
    if "<!DOCTYPE" in text:  # a web page, or XML that declares entities; no DICOMweb answer has a DOCTYPE
        return None
    try:
        said: Any = _xml_data_sets(text) if text.startswith("<") else json.loads(text or "[]")
    except (ValueError, ElementTree.ParseError):
        return None
    listed = said if isinstance(said, list) else [said]
    if not all(isinstance(one, dict) and all(_TAG.fullmatch(tag.upper()) for tag in one) for one in listed):
        return None
    return [{tag.upper(): element for tag, element in one.items()} for one in listed]


def _xml_data_sets(text: str) -> list[DataSet] | None:
    """Return the data set of a Native DICOM Model, or None for other XML, such as the page of a proxy."""
    root = ElementTree.fromstring(text)  # noqa: S314 - a text that declares entities does not come here
    return [_from_xml(root)] if _name(root) == "NativeDicomModel" else None


def _name(element: ElementTree.Element) -> str:
    """Return the name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def _from_xml(element: ElementTree.Element) -> DataSet:
    """Return a data set of the Native DICOM Model (PS3.19 A.1) in the form of DICOM JSON."""
    found: DataSet = {}
    for child in element:
        if _name(child) != "DicomAttribute":
            return {_name(child): None}
        items = [one for one in child if _name(one) == "Item"]
        values = [_from_xml(item) for item in items] if items else [(one.text or "").strip() for one in child]
        found[child.get("tag", "")] = {"Value": values}
    return found


def _reasons(data_sets: list[DataSet], sequences: tuple[str, ...], reason: str) -> Iterator[tuple[str, int]]:
    for data_set in data_sets:
        for sequence in sequences:
            for item in _values(data_set, sequence):
                uids = _values(item, _UID) if isinstance(item, dict) else []
                stated = _values(item, reason) if isinstance(item, dict) else []
                yield str(uids[0]).strip(" \0") if uids else "", _number(stated[0] if stated else 0)


def _values(data_set: DataSet, tag: str) -> list[Any]:
    element = data_set.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    if isinstance(values, list):
        return values
    return [] if values is None else [values]


def _number(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        return 0
