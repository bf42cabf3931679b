"""Comparison of the table of codes with the standard."""

from collections.abc import Iterator

import pytest
from pydicom.sr import _concepts_dict
from pydicom.sr.coding import Code

from glam_node.node.results import codes

CONCEPTS: dict[str, dict[str, dict[str, tuple[str, list[int]]]]] = _concepts_dict.concepts  # type: ignore[assignment]
STANDARD = {
    (scheme, value): meaning
    for scheme, concepts in CONCEPTS.items()
    for entries in concepts.values()
    for value, (meaning, _) in entries.items()
}
# For these, pydicom has SNOMED's own name or a zero-width space; the name used here is that of PS3.16.
PRINTED_OTHERWISE = {"76752008", "373098007", "399162004", "51440002", "73056007", "80248007", "111034"}


def table() -> Iterator[Code]:
    for name in filter(str.isupper, dir(codes)):
        entry = getattr(codes, name)
        if isinstance(entry, Code):
            yield entry
        elif isinstance(entry, dict):
            yield from (code for code in entry.values() if isinstance(code, Code))


@pytest.mark.parametrize("code", list(table()), ids=lambda code: f"{code.scheme_designator}-{code.value}")
def test_a_code_is_from_the_standard_or_private(code: Code) -> None:
    assert len(code.value) <= 16
    assert len(code.meaning) <= 64
    if code.scheme_designator in (codes.PRIVATE_SCHEME, "RFC5646"):
        return
    meaning = STANDARD[code.scheme_designator, code.value]
    assert code.value in PRINTED_OTHERWISE or meaning.lower() == code.meaning.lower()


def test_each_class_has_its_own_measurement_name() -> None:
    assert len({code.value for code in codes.CERTAINTY.values()}) == 2
