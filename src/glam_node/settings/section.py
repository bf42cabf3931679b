"""What all sections of the settings have in common."""

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError


def contradiction(key: str, message: str) -> PydanticCustomError:
    """Two settings that cannot both be; `key` is relative to the section that finds it."""
    return PydanticCustomError("contradiction", "{message}", {"key": key, "message": message})


class Section(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
