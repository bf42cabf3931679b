"""Elements of a header as plain values; never raises, whatever the data set holds. pydicom only."""

from collections.abc import Iterable
from typing import Any

from pydicom.dataset import Dataset

# The first word of a value that says that there is none
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
    """Return the values of an element; none where it is missing or malformed."""
    try:
        value = dataset.get(keyword)
        return list(value) if isinstance(value, Iterable) and not isinstance(value, str | bytes) else [value]
    except Exception:  # pydicom converts on access and raises whatever its converters raise
        return []


def texts_of(dataset: Dataset, keyword: str) -> list[str]:
    """Return the values of an element as texts without blanks around them."""
    return [str(value).strip() for value in values(dataset, keyword) if value is not None]


def text_of(dataset: Dataset, keyword: str) -> str:
    """Return the first value of an element as text; empty when it is missing or malformed."""
    return next(iter(texts_of(dataset, keyword)), "")


def items_of(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a sequence."""
    return [item for item in values(dataset, keyword) if isinstance(item, Dataset)]


def number_of(dataset: Dataset, keyword: str) -> float | None:
    """Return the first value of an element as a number; None when it is none."""
    try:
        return float(text_of(dataset, keyword))
    except ValueError:
        return None


def integer_of(dataset: Dataset, keyword: str, default: int) -> int:
    """Return the first value of an element as a whole number; `default` when it is none."""
    number = number_of(dataset, keyword)
    return default if number is None or not number.is_integer() else int(number)


def code_value(item: Dataset) -> str:
    """Return Code Value or Long Code Value of an item of a code sequence."""
    return text_of(item, "CodeValue") or text_of(item, "LongCodeValue")


def values_of(dataset: Dataset, keywords: Iterable[str]) -> Iterable[Any]:
    """Yield the values of several elements."""
    return (value for keyword in keywords for value in values(dataset, keyword))


def has_value(value: Any) -> bool:
    """Return whether an optional value says something: an item, or a text other than none, no and zero."""
    if isinstance(value, Dataset):
        return True
    text = "" if value is None else str(value).strip().upper()
    try:
        return float(text) != 0
    except ValueError:
        return text.split()[0] not in _NOTHING if text else False


def says_yes(dataset: Dataset, keyword: str) -> bool:
    """Return whether an element says yes, in whatever words."""
    return text_of(dataset, keyword).upper() in _YES
