"""Readers of elements in data sets of other systems, whose values may be of any kind."""

import math
import warnings
from collections.abc import Iterable
from typing import Any

from pydicom.config import RAISE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import validate_value


def value_of(source: Dataset, keyword: str) -> Any:
    """Return the value of an element, or None if it is absent or cannot be read."""
    try:
        stored: object = source.get_item(keyword)
        if isinstance(stored, DataElement):  # it was converted before, so that pydicom has nothing to warn of
            return stored.value
        with warnings.catch_warnings():
            # pydicom warns with the offending value, which may be a patient's.
            warnings.simplefilter("ignore")
            return source.get(keyword)
    except Exception:  # pydicom converts on access, and its converters raise errors of many kinds
        return None


def items_of(source: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a sequence, or none if it is empty or not a sequence."""
    items = value_of(source, keyword)
    return [item for item in items if isinstance(item, Dataset)] if isinstance(items, Iterable) else []


def text_values(source: Dataset, keyword: str) -> list[str]:
    """Return the values of an element of any VR as text without padding, or none if it cannot be read."""
    value = value_of(source, keyword)
    if value is None or value == "":
        return []
    several = isinstance(value, Iterable) and not isinstance(value, str | bytes)
    return [str(item).strip(" \0") for item in (value if several else [value])]


def text_value(source: Dataset, keyword: str) -> str:
    """Return the only value of an element as text without padding, or an empty string if it has none or several."""
    values = text_values(source, keyword)
    return values[0] if len(values) == 1 else ""


def finite_numbers(source: Dataset, keyword: str, count: int) -> tuple[float, ...]:
    """Return the values of an element as numbers, or none unless it has exactly `count` values that are all finite."""
    try:
        numbers = tuple(float(text) for text in text_values(source, keyword))
    except ValueError:
        return ()
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else ()


def legal_value(source: Dataset, keyword: str) -> Any:
    """Return the value of an element if all of it is legal for its VR (PS3.5 6.2), else None."""
    value = value_of(source, keyword)
    if value is None or value == "":
        return None
    try:
        vr = source[keyword].VR
        for item in value if isinstance(value, list | tuple) or hasattr(value, "append") else [value]:
            validate_value(vr, str(item) if vr != "PN" else item, RAISE)
    except Exception:  # the validator raises ValueError, and lazy conversion errors of many kinds
        return None
    return value
