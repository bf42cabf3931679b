"""Loading of settings from a TOML file and the environment, with an error that lists every mistake."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from glam_node.settings.environment import (
    SETTINGS_VARIABLE,
    Location,
    UnreadableVariable,
    Variable,
    apply_variables,
)
from glam_node.settings.ineffective import former_keys, without_former_keys
from glam_node.settings.problems import Problem, location_of, problem_from
from glam_node.settings.schema import Settings

JSON = ".json"
"""The ending of files that contain settings as JSON, such as those that a node passes to its processes."""

TOML_HINT = (
    " A section and a key may appear only once: add keys below the section that is there. "
    "Put strings in double quotes, and those with a backslash in single quotes."
)
TOO_DEEP = (
    "The settings nest lists or sections hundreds of times in each other. Is this the settings file? Check --settings "
    f"or {SETTINGS_VARIABLE}."
)


class SettingsError(Exception):
    """The settings cannot be used; the message lists every mistake with its key."""

    def __init__(self, problems: tuple[Problem, ...], source: Path | None = None) -> None:
        self.problems = problems
        self.source = source
        """The file that was read; None if no file was read."""
        super().__init__("\n".join(str(problem) for problem in problems))


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Return the settings from a file and from the environment, which takes precedence over the file.

    Args:
        path: The settings file; None: the file that GLAM_NODE_SETTINGS names, or no file if that is unset.
        environ: The environment variables.

    Raises:
        SettingsError: The settings cannot be used; the error lists every mistake.
    """
    source = path
    try:
        tree, variables, source = _gathered(path, environ)
        return _validate(tree, variables)
    except ValidationError as error:
        problems = (problem_from(mistake, variables) for mistake in error.errors())
        raise SettingsError(tuple(sorted(problems, key=lambda problem: problem.key)), source) from None
    except RecursionError:
        raise SettingsError((Problem("", TOO_DEEP),), source) from None


def former_keys_in(path: Path | None, environ: Mapping[str, str]) -> tuple[Problem, ...]:
    """Return the keys of older versions in a file and the environment; `load_settings` ignores them.

    Raises:
        SettingsError: The file cannot be read.
    """
    return tuple(former_keys(_gathered(path, environ)[0]))


def _gathered(
    path: Path | None, environ: Mapping[str, str]
) -> tuple[dict[str, Any], dict[Location, Variable], Path | None]:
    """Return the values of the file and the environment, the place of each variable in them, and the file."""
    source = path or (Path(environ[SETTINGS_VARIABLE]) if environ.get(SETTINGS_VARIABLE) else None)
    tree = _read(source) if source is not None else {}
    try:
        return tree, apply_variables(tree, environ), source
    except UnreadableVariable as error:
        raise SettingsError((Problem("", f"{error} (environment variable {error.name})"),), source) from None


def problems_of(tree: dict[str, Any]) -> tuple[Problem, ...]:
    """Return the mistakes in settings that are given as JSON values."""
    try:
        validated(tree)
    except ValidationError as error:
        return tuple(problem_from(mistake, {}) for mistake in error.errors())
    return ()


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors on Windows write a byte order mark
        return dict(json.loads(text)) if path.suffix == JSON else tomllib.loads(text)
    except OSError as error:
        problem = f"cannot be read: {error.strerror}. Check --settings or {SETTINGS_VARIABLE}."
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8: byte {error.start} of the file. Save it as UTF-8."
    except ValueError as error:
        language, hint = ("JSON", "") if path.suffix == JSON else ("TOML", TOML_HINT)
        problem = f"is not {language}: {error}.{hint}"
    raise SettingsError((Problem("", f"{path} {problem}"),), path)


def _validate(tree: dict[str, Any], variables: Mapping[Location, Variable]) -> Settings:
    """Return the settings in `tree`; a variable that looks like a number is a string where a string is needed."""
    try:
        return validated(tree)
    except ValidationError as error:
        places = [location_of(mistake) for mistake in error.errors() if mistake["type"] == "string_type"]
        texts = [variables[place] for place in places if place in variables]
        if not texts:
            raise
    for variable in texts:
        variable.take_as_text(tree)
    return validated(tree)


def validated(tree: dict[str, Any]) -> Settings:
    """Return the settings that are given as JSON values; raise pydantic's ValidationError for mistakes.

    Keys that older versions wrote and that have no effect are ignored.

    Validation is strict, so that "11112" is not a port. The values are converted to JSON first, because strict
    validation accepts a list for a tuple and a string for a path only in JSON.
    """
    return Settings.model_validate_json(json.dumps(without_former_keys(tree), default=str), strict=True)
