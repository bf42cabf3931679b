"""What a data set says under a field of an expression."""

import warnings
from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

from pydicom.dataset import Dataset

from glam_node.rules.fields import kind_of
from glam_node.rules.syntax import Kind, Value, age_in_days, same_text

MOST_VALUES = 100
"""Of one field; what comes after them is passed over."""


def header_values(dataset: Dataset, path: str) -> tuple[Value, ...]:
    """All values under the path, of all items of its sequences; none for what is missing, empty or no such value.

    Raises FieldError for a path that no expression may use.
    """
    kind, (*holders, last) = kind_of(path), path.split(".")
    datasets: list[Dataset] = [dataset]
    for holder in holders:
        datasets = [item for one in datasets for item in _values(one, holder) if isinstance(item, Dataset)]
    found = (_read(kind, value) for one in datasets[:MOST_VALUES] for value in _values(one, last))
    return tuple(value for value in found if value is not None)[:MOST_VALUES]


def _values(dataset: Dataset, keyword: str) -> list[Any]:
    """pydicom converts on access, warns with the offending value, and raises whatever its converters raise."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = dataset.get(keyword)
        several = isinstance(value, Iterable) and not isinstance(value, str | bytes | Dataset)
        return list(value)[:MOST_VALUES] if several else [value]
    except Exception:
        return []


def _read(kind: Kind, value: Any) -> Value | None:
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


_READERS: dict[Kind, Callable[[str], Value]] = {
    Kind.TEXT: same_text,
    Kind.NUMBER: _number,
    Kind.DATE: _date,
    Kind.AGE: age_in_days,
}
