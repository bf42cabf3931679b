"""Reads what a DICOMweb server answers to STOW-RS (PS3.18 10.5.3 and Annex F), as servers really write it."""

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
    """What a server said of the objects of one request."""

    status: int
    stored: Mapping[str, int]
    """Warning Reason by SOP Instance UID; 0: none."""
    failed: Mapping[str, int]
    """Failure Reason by SOP Instance UID; 0: none is stated. A UID may be empty: the object is not named."""
    is_dicom: bool
    """Whether the body is empty or an answer of DICOMweb, and not a page of something in between."""

    def has_stored(self, uid: str) -> bool:
        """Return whether the one object that was sent is stored.

        A server that names no object at all answers 200 only where it stored all (PS3.18 Table 10.5.3-1).
        """
        if uid in self.stored:
            return True
        return self.status == OK and self.is_dicom and not self.stored and not self.failed

    def reason_of(self, uid: str) -> int:
        """Return the Failure Reason that is stated for the one object that was sent; 0: none."""
        return self.failed.get(uid) or self.failed.get("", 0)


def read_answer(status: int, content: bytes) -> StowAnswer:
    """Return what an answer says, whatever it calls its format: DICOM JSON, one data set or a list, or DICOM XML."""
    text = content.decode("utf-8-sig", errors="replace").strip()
    data_sets = _data_sets(text)
    return StowAnswer(
        status,
        dict(_reasons(data_sets or [], (_REFERENCED,), _WARNING_REASON)),
        dict(_reasons(data_sets or [], (_FAILED, _OTHERS), _FAILURE_REASON)),
        data_sets is not None,
    )


def _data_sets(text: str) -> list[DataSet] | None:
    """Return the data sets of a body; None when it is neither empty nor DICOM."""
    if "<!DOCTYPE" in text:  # a page, or entities, which no answer of DICOMweb has
        return None
    try:
        said = [_from_xml(ElementTree.fromstring(text))] if text.startswith("<") else json.loads(text or "[]")  # noqa: S314
    except (ValueError, ElementTree.ParseError):
        return None
    listed = said if isinstance(said, list) else [said]
    if not all(isinstance(one, dict) and all(_TAG.fullmatch(tag.upper()) for tag in one) for one in listed):
        return None
    return [{tag.upper(): element for tag, element in one.items()} for one in listed]


def _from_xml(element: ElementTree.Element) -> DataSet:
    """Return a data set of the Native DICOM Model (PS3.19 A.1) as DICOM JSON has it."""
    found: DataSet = {}
    for child in element:
        name = child.tag.rpartition("}")[2]
        if name != "DicomAttribute":
            return {name: None}
        items = [one for one in child if one.tag.rpartition("}")[2] == "Item"]
        values = [_from_xml(item) for item in items] if items else [(one.text or "").strip() for one in child]
        found[child.get("tag", "")] = {"Value": values}
    return found


def _reasons(data_sets: list[DataSet], sequences: tuple[str, ...], reason: str) -> Iterator[tuple[str, int]]:
    for data_set in data_sets:
        for sequence in sequences:
            for item in _values(data_set, sequence):
                uids = _values(item, _UID) if isinstance(item, dict) else []
                stated = _values(item, reason) if isinstance(item, dict) else []
                yield str(uids[0]) if uids else "", _number(stated[0] if stated else 0)


def _values(data_set: DataSet, tag: str) -> list[Any]:
    element = data_set.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []


def _number(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        return 0
