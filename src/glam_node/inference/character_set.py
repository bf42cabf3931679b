"""Terms of Specific Character Set (PS3.3 C.12.1.1.2), and the correction of common misspellings."""

import re

from pydicom.charset import convert_encodings
from pydicom.dataset import Dataset

from glam_node.inference.elements import texts_of

_SINGLE_BYTE = (13, 100, 101, 109, 110, 126, 127, 138, 144, 148, 166, 203)
_MULTI_BYTE = [f"ISO 2022 IR {number}" for number in (58, 87, 149, 159)]
UTF_8, LATIN_1 = "ISO_IR 192", "ISO_IR 100"
_WITHOUT_EXTENSIONS = (UTF_8, "GB18030", "GBK")
CHARACTER_SETS = frozenset(
    [f"ISO_IR {number}" for number in _SINGLE_BYTE]
    + [f"ISO 2022 IR {number}" for number in (6, *_SINGLE_BYTE)]
    + _MULTI_BYTE
    + list(_WITHOUT_EXTENSIONS)
)
"""Defined Terms, except ISO_IR 6, the default."""
# Parts of ISO 8859 by the number of their set
_PARTS_OF_8859 = {1: 100, 2: 101, 3: 109, 4: 110, 5: 144, 6: 127, 7: 126, 8: 138, 9: 148, 11: 166, 15: 203}


def _letters_and_digits(term: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", term.upper())


_MEANT = (
    {_letters_and_digits(term): term for term in CHARACTER_SETS}
    | {term.replace("ISO 2022 IR ", "ISOIR"): term for term in _MULTI_BYTE}
    | {f"ISO{infix}8859{part}": f"ISO_IR {number}" for part, number in _PARTS_OF_8859.items() for infix in ("", "IR")}
    | dict.fromkeys(("ISO2022IR192", "UTF8", "UNICODE"), UTF_8)
    | {"ISOIR6": "ISO_IR 6"}
)


def correct_character_set(dataset: Dataset) -> None:
    """Replace misspelt terms of Specific Character Set, so that all texts are decoded by the set that is meant.

    Examples are ISO_IR_192, ISO_IR 87, and ISO 2022 IR 87 as the only value. Call this before any text of the data set
    is used. pydicom takes unknown terms for Latin-1, by which a name in another alphabet becomes another name. A
    patient's name that is stated to be UTF-8 and cannot be is taken for Latin-1, since its letters would be lost.
    """
    stated = texts_of(dataset, "SpecificCharacterSet")
    meant = [_MEANT.get(_letters_and_digits(term), term) for term in stated]
    if len(meant) == 2 and not meant[0] and meant[1] in _WITHOUT_EXTENSIONS:
        meant = meant[1:]
    if len(meant) == 1 and meant[0] in _MULTI_BYTE:
        meant = ["", *meant]
    if meant == [UTF_8] and not _is_utf_8(dataset):
        meant = [LATIN_1]
    if meant != stated:
        dataset.SpecificCharacterSet = meant
        is_implicit, is_little_endian = dataset.original_encoding
        dataset.set_original_encoding(is_implicit, is_little_endian, convert_encodings(meant))


def _is_utf_8(dataset: Dataset) -> bool:
    """Return whether the bytes of the patient's name are valid UTF-8; True if it has been decoded already."""
    value = dataset.get_item("PatientName").value if "PatientName" in dataset else b""
    try:
        (value if isinstance(value, bytes) else b"").decode()
    except UnicodeDecodeError:
        return False
    return True
