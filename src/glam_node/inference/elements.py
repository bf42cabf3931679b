"""Readers of single header elements as plain values; none of them raises an error, whatever the data set holds."""

from collections.abc import Iterable
from typing import Any

from pydicom.dataset import Dataset

# First words of texts that mean "none"
_NOTHING = frozenset(
    [
        "-",
        "N",
        "N/A",
        "NA",
        "NIL",
        "NO",
        "NON",
        "NONE",
        "NOT",
        "NULL",
        "KEIN",
        "KEINE",
        "OHNE",
        "SANS",
        "SENZA",
        "SIN",
        "SEM",
        "UNKNOWN",
        "UNSPECIFIED",
        "WITHOUT",
    ]
)
_YES = frozenset({"YES", "Y", "TRUE", "1", "BOTH"})


def values(dataset: Dataset, keyword: str) -> list[Any]:
    """Return the values of an element; [None] if it is missing, and an empty list if it is malformed."""
    try:
        value = dataset.get(keyword)
        return list(value) if isinstance(value, Iterable) and not isinstance(value, str | bytes) else [value]
    except Exception:  # pydicom converts on access and raises whatever its converters raise
        return []


def texts_of(dataset: Dataset, keyword: str) -> list[str]:
    """Return the values of an element as strings without surrounding blanks."""
    return [str(value).strip() for value in values(dataset, keyword) if value is not None]


def text_of(dataset: Dataset, keyword: str) -> str:
    """Return the first value of an element as text; empty when it is missing or malformed."""
    return next(iter(texts_of(dataset, keyword)), "")


def items_of(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a sequence."""
    return [item for item in values(dataset, keyword) if isinstance(item, Dataset)]


def number_of(dataset: Dataset, keyword: str) -> float | None:
    """Return the first value of an element as a number; None when it is not a number."""
    try:
        return float(text_of(dataset, keyword))
    except ValueError:
        return None


def integer_of(dataset: Dataset, keyword: str, default: int) -> int:
    """Return the first value of an element as a whole number; `default` when it is not one."""
    number = number_of(dataset, keyword)
    return default if number is None or not number.is_integer() else int(number)


def code_value(item: Dataset) -> str:
    """Return Code Value or Long Code Value of an item of a code sequence."""
    return text_of(item, "CodeValue") or text_of(item, "LongCodeValue")


def values_of(dataset: Dataset, keywords: Iterable[str]) -> Iterable[Any]:
    """Yield the values of several elements."""
    return (value for keyword in keywords for value in values(dataset, keyword))


def has_value(value: Any) -> bool:
    """Return whether an optional value states something: an item, or a text that does not mean none, no or zero."""
    if isinstance(value, Dataset):
        return True
    text = "" if value is None else str(value).strip().upper()
    try:
        return float(text) != 0
    except ValueError:
        return text.split()[0] not in _NOTHING if text else False


def says_yes(dataset: Dataset, keyword: str) -> bool:
    """Return whether an element means yes: YES, Y, TRUE, 1 or BOTH."""
    return text_of(dataset, keyword).upper() in _YES
