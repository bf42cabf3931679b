"""Memory for highdicom's searches in the tables of the standard.

For each object that it makes, highdicom searches the attributes of a whole information object definition, which has
thousands. The answers depend only on the SOP class, so one search is enough.
"""

from collections.abc import Sequence
from functools import cache

from highdicom import _standard_utils

_search = _standard_utils.is_attribute_in_iod


def remember_searches() -> None:
    """Make highdicom search for an attribute of a SOP class only once in this process."""
    _standard_utils.is_attribute_in_iod = _is_attribute_in_iod


def _is_attribute_in_iod(
    attribute: str, sop_class_uid: str, exclude_path_elements: Sequence[str] | None = None
) -> bool:
    return _answer(attribute, sop_class_uid, None if exclude_path_elements is None else tuple(exclude_path_elements))


@cache
def _answer(attribute: str, sop_class_uid: str, excluded: tuple[str, ...] | None) -> bool:
    return bool(_search(attribute, sop_class_uid, excluded))
