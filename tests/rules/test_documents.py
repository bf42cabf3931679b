"""Tests that commands, options, settings, messages and constants named in the documents exist."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from glam_node.node.cli.main import app
from glam_node.settings.environment import IN_A_FILE, SETTINGS_VARIABLE
from glam_node.settings.keys import generic, keys, sections

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    [*(ROOT / "docs").glob("*.md"), ROOT / "deploy" / "README.md", *map(ROOT.joinpath, ("README.md", "CONFORMANCE.md"))]
)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
MESSAGE = re.compile(r"^### `(.+)`$", re.MULTILINE)
SOURCES = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))

documents = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def inline(document: Path) -> list[str]:
    """Return the text between single backticks, outside of code blocks."""
    return INLINE.findall(FENCE.sub("", document.read_text(encoding="utf-8")))


def named_commands(document: Path) -> list[list[str]]:
    """Return the words after `glam-node` from every line and inline code that begins with it."""
    blocks = "\n".join(FENCE.findall(document.read_text(encoding="utf-8"))).replace("\\\n", " ")
    lines = [line.removeprefix("$ ") for line in blocks.splitlines()] + inline(document)
    return [shlex.split(line)[1:] for line in lines if line.startswith("glam-node ")]


def unknown(words: list[str]) -> list[str]:
    """Return the words of a command line that are neither a command nor an option of glam-node."""
    command: Any = get_command(app)
    options = {option for parameter in command.params for option in parameter.opts}
    wrong = []
    for place, word in enumerate(words):
        if word.startswith("--"):
            wrong += [word] if word not in options else []
        elif hasattr(command, "commands") and (place == 0 or words[place - 1] != "--settings"):
            inner = command.commands.get(word)
            if inner is None:
                return [*wrong, word]
            command = inner
            options |= {option for parameter in command.params for option in parameter.opts}
    return wrong


@documents
def test_every_command_and_option_that_is_named_is_there(document: Path) -> None:
    assert [(words, unknown(words)) for words in named_commands(document) if unknown(words)] == []


def test_a_command_or_option_that_is_not_there_would_be_found() -> None:
    assert unknown(["settings", "chek"]) == ["chek"]
    assert unknown(["--settings", "node.toml", "restore", "--force", "x"]) == ["--force"]


@documents
def test_every_setting_that_is_named_is_there(document: Path) -> None:
    first = {section.path[0] for section in sections() if section.path}
    known = {section.path for section in sections()} | set(keys())
    for code in inline(document):
        words = re.fullmatch(r"([a-z_]+(?:\.[A-Za-z_]+)+)(?: = .*)?", code)
        if words and words[1].split(".")[0] in first and not words[1].endswith((".toml", ".dcm", ".sqlite")):
            path = tuple("archive" if part == "NAME" else part for part in words[1].split("."))
            assert generic(path) in known, f"{document.name}: {code}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_environment_variable_that_is_named_is_one(document: Path) -> None:
    known = {key.environment_variable for key in keys().values()} | {SETTINGS_VARIABLE}
    named = re.findall(r"\bGLAM_NODE_[A-Z_]+", document.read_text(encoding="utf-8"))
    assert [name for name in named if name.removesuffix(IN_A_FILE) not in known] == []


def test_every_message_of_the_troubleshooting_is_one_of_ours() -> None:
    messages = MESSAGE.findall((ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8"))
    written = re.sub(r'"\s*\n\s*f?"', "", SOURCES)
    assert len(messages) > 10
    for message in messages:
        parts = [re.escape(part) for part in message.split("…") if part]
        assert re.search(r"\{.*?\}.*?".join(parts) if len(parts) > 1 else parts[0], written), message


def test_every_constant_of_the_sizing_is_that_of_its_benchmark() -> None:
    page = (ROOT / "docs" / "sizing.md").read_text(encoding="utf-8")
    stated = re.findall(r"\| `(tests/benchmarks/\w+\.py)` \| `([^`]+)` \|", page)
    assert stated
    for file, constant in stated:
        assert constant in (ROOT / file).read_text(encoding="utf-8").splitlines(), file


def test_json_in_documents_is_json() -> None:
    blocks = [
        block
        for document in DOCUMENTS
        for block in re.findall(r"^```json\n(.*?)^```", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    ]
    assert blocks
    assert all(json.loads(block) for block in blocks)
