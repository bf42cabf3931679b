"""Masking of patient data in log events, whatever the caller passes."""

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import PurePath
from typing import Any
from uuid import UUID

from structlog.typing import EventDict, WrappedLogger

MASK = "***"

# Keywords of PS3.6, letters only, so that patient_name, PatientName and "Patient's Name" match the same.
_FORBIDDEN = re.compile(
    r"patient.*|issuerofpatientid|otherpatient.*|accessionnumber|.*physician.*name|operatorsname|.*birth.*"
    r"|studydescription|admissionid|studyid|personname|.*password|.*secret|ethnicgroup|occupation"
)
_ALLOWED = frozenset({"patientorientation"})
_PLAIN_TYPES = (str, bool, int, float, date, datetime, timedelta, PurePath, UUID, BaseException)


def mask_patients(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    """Mask values under forbidden keys, and replace objects by their type (a structlog processor)."""
    return {key: value if key == "exc_info" else _masked(key, value) for key, value in event_dict.items()}


def _masked(key: object, value: Any) -> Any:
    name = re.sub(r"[^a-z]", "", str(key).lower())
    if _FORBIDDEN.fullmatch(name) and name not in _ALLOWED:
        return MASK
    if isinstance(value, Mapping) and type(value).__module__ == "builtins":
        return {inner: _masked(inner, content) for inner, content in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked("", content) for content in value]
    if value is None or isinstance(value, _PLAIN_TYPES):
        return value
    return f"<{type(value).__name__}>"
