"""The attributes of results as a document, docs/attributes.md."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import highdicom
from pydicom.datadict import dictionary_description
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from glam_node import result_kinds
from glam_node.inference.findings import FindingKind
from glam_node.inference.mammogram import Laterality
from glam_node.node.results.identity import ResultIdentity
from tests.unit.results.analysed import Analysed, analysed_exam, stored

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "attributes.md"

_HEAD = """\
# Attributes of the objects written

Every attribute of every kind of result, read off objects that were written: two phantom exams of different
patients, sizes and photometric interpretations, at different times. Values that were the same in all of them are
given; of the rest it is said that they vary. What a source does not state is left out of a result or empty;
nothing is invented. The content of structured reports follows their templates (CONFORMANCE.md, 4); its codes
are in CONFORMANCE.md, 4.1.

This file is generated: `make generate`. A test holds it to the writers.
"""
_LONGEST = 60
_SKIPPED = {"ContentSequence", "PixelData"}

_Path = tuple[BaseTag, ...]


def document() -> str:
    """Return the text of the document."""
    lines = [_HEAD]
    written = [*_objects(_exam(128, 96, "MONOCHROME2"), 1), *_objects(_exam(129, 104, "MONOCHROME1"), 5)]
    for kind in result_kinds.ANALYSIS_KINDS:
        lines += [f"## {kind}", "", "| attribute | tag | VR | value |", "|---|---|---|---|"]
        lines += _table([dataset for made, dataset in written if made == kind])
        lines.append("")
    return "\n".join(lines)


def _exam(rows: int, columns: int, photometric_interpretation: str) -> Analysed:
    lesions = tuple((kind, side) for kind in FindingKind for side in Laterality)
    exam = analysed_exam(rows, columns, lesions=lesions, photometric_interpretation=photometric_interpretation)
    if photometric_interpretation == "MONOCHROME2":
        return exam.with_source_elements(TimezoneOffsetFromUTC="-0500")
    return exam.with_source_elements(**_ANOTHER_PATIENT)


_ANOTHER_PATIENT = {
    "PatientName": "ANOTHER^WOMAN",
    "PatientID": "ANOTHER",
    "PatientBirthDate": "19650203",
    "PatientAge": "061Y",
    "AccessionNumber": "A2",
    "StudyID": "2",
    "StudyDate": "20260203",
    "StudyTime": "111213",
    "StudyDescription": "Another study",
    "ContentTime": "111314",
    "ContentDate": "20260203",
    "TimezoneOffsetFromUTC": "+0900",
}


def _objects(exam: Analysed, hour: int) -> Iterator[tuple[str, Dataset]]:
    identity = ResultIdentity(institution_name=f"Institution {hour}").at(
        datetime(2026, 3, hour, hour, hour, hour, tzinfo=UTC), settings_digest=str(hour)
    )
    for made in exam.every_kind(identity):
        yield made.kind, stored(made.dataset)


def _table(objects: Iterable[Dataset]) -> Iterator[str]:
    values: dict[_Path, set[str]] = {}
    representations: dict[_Path, str] = {}
    for dataset in objects:
        for path, element in _elements(dataset, ()):
            values.setdefault(path, set()).add(_text(element))
            representations[path] = element.VR
    for path in sorted(values):
        name = " > ".join(dictionary_description(tag) for tag in path)
        same = next(iter(values[path])) if len(values[path]) == 1 else "varies"
        yield f"| {name} | ({path[-1].group:04X},{path[-1].element:04X}) | {representations[path]} | {same} |"


def _elements(dataset: Dataset, above: _Path) -> Iterator[tuple[_Path, DataElement]]:
    for element in dataset:
        path = (*above, element.tag)
        yield path, element
        if element.VR == "SQ" and element.keyword not in _SKIPPED:
            for item in element.value:
                yield from _elements(item, path)


def _text(element: DataElement) -> str:
    if element.VR == "SQ" or element.keyword in _SKIPPED:
        return "" if element.VR == "SQ" else "varies"
    if highdicom.__version__ in str(element.value):
        return "version of highdicom"
    text = str(element.value).replace("|", "\\|").replace("\r\n", " ")
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."
