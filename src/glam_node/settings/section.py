"""The base class of all sections of the settings, and their error for contradictions."""

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError


def contradiction(key: str, message: str) -> PydanticCustomError:
    """Return the error for two settings that contradict each other.

    Args:
        key: The key to report, relative to the section whose validator raises the error.
        message: The words that follow the key.
    """
    return PydanticCustomError("contradiction", "{message}", {"key": key, "message": message})


class Section(BaseModel):
    """A section of the settings; it is frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
