"""Reading of an expression's fields from the header of an image."""

import warnings
from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

from pydicom.dataset import Dataset

from glam_node.rules.expression import Value, ValueKind, age_in_days, same_text
from glam_node.rules.fields import kind_of

MOST_VALUES = 100
"""The largest number of values that are read of one field; further values are ignored."""


def header_values(dataset: Dataset, path: str) -> tuple[Value, ...]:
    """Return the values of a field, from all items of its sequences.

    Missing, empty and malformed values are left out.

    Raises:
        FieldError: No expression may use the field.
    """
    kind, (*holders, last) = kind_of(path), path.split(".")
    datasets: list[Dataset] = [dataset]
    for holder in holders:
        datasets = [item for one in datasets for item in _values(one, holder) if isinstance(item, Dataset)]
    found = (_read(kind, value) for one in datasets[:MOST_VALUES] for value in _values(one, last))
    return tuple(value for value in found if value is not None)[:MOST_VALUES]


def _values(dataset: Dataset, keyword: str) -> list[Any]:
    """Return the values of an element, or none if it is malformed.

    pydicom converts on access, shows the offending value in warnings, and does not catch errors of its converters.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = dataset.get(keyword)
        several = isinstance(value, Iterable) and not isinstance(value, str | bytes | Dataset)
        return list(value)[:MOST_VALUES] if several else [value]
    except Exception:
        return []


def _read(kind: ValueKind, value: Any) -> Value | None:
    text = str(value).strip() if value is not None else ""
    if not text:
        return None
    try:
        return _READERS[kind](text)
    except (ValueError, KeyError, OverflowError):
        return None


def _number(text: str) -> float:
    number = float(text)
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError(text)
    return number


def _date(text: str) -> date:
    return date.fromisoformat(text if "-" in text else f"{text[:4]}-{text[4:6]}-{text[6:]}")


_READERS: dict[ValueKind, Callable[[str], Value]] = {
    ValueKind.TEXT: same_text,
    ValueKind.NUMBER: _number,
    ValueKind.DATE: _date,
    ValueKind.AGE: age_in_days,
}
