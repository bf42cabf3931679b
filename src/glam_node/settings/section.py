"""The base class of all sections of the settings, and their error for contradictions."""

import ast
import inspect
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
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

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return the JSON schema, in which the docstring below each key is its description.

        Pydantic's `use_attribute_docstrings` would parse the source of every section whenever a process starts.
        """
        reference = handler(core_schema)
        properties = handler.resolve_ref_schema(reference)["properties"]
        for name, docstring in _docstrings_of_keys(cls).items():
            properties[name].setdefault("description", docstring)
        return reference


def _docstrings_of_keys(section: type[Section]) -> dict[str, str]:
    """Return the docstrings of the keys that the section and the sections that it extends define."""
    found: dict[str, str] = {}
    for each in reversed([one for one in section.__mro__ if issubclass(one, Section)]):
        (definition,) = ast.parse(inspect.getsource(each)).body
        for pair in pairwise(definition.body) if isinstance(definition, ast.ClassDef) else ():
            match pair:
                case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(docstring))):
                    found[name] = inspect.cleandoc(docstring)
    return found
