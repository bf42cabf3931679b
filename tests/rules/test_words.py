"""Docstrings, test names and headings start with plain words; ruff's pydocstyle rules check the rest of a docstring."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]

# Words that stand in for a noun, so that a reader has to find out what they mean.
_STAND_INS = """
anybody anything as by everybody everything for if in nobody nothing of on so somebody something such that these this
those to what whatever when where wherever which who whoever whom whose why with without
"""
# Words that start a noun phrase or a clause, and so cannot start an imperative sentence.
_NO_VERBS = """
a about above after all already also always an and another any are at because been before below beneath beside between
both but can each either else every exactly false few first from has her here his how i into is it its last less
many may more most must never no none nor not now once one only or other our out over same several she since some still
than the their then there they three too true two under until up us was we were whether while yes you your
"""
STAND_INS = frozenset(_STAND_INS.split())
NO_VERBS = STAND_INS | frozenset(_NO_VERBS.split())
VERBS_IN_S = {
    "access",
    "address",
    "compress",
    "cross",
    "decompress",
    "dismiss",
    "express",
    "pass",
    "press",
    "process",
    "suppress",
}
VERBS_IN_ED_OR_ING = {"bring", "embed", "exceed", "feed", "need", "ping", "proceed", "seed", "shed"}
# Words that hide the subject of a test.
NO_SUBJECTS = (STAND_INS - {"these", "this", "those"}) | {
    "after",
    "at",
    "before",
    "from",
    "how",
    "inside",
    "it",
    "its",
    "there",
    "while",
}

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def docstrings(path: Path) -> Iterator[tuple[Documented, int, str]]:
    """Yield each documented module, class and function of a source file, with its line and its docstring."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, Documented) and (text := ast.get_docstring(node)):
            yield node, getattr(node, "lineno", 1), text


def first_word(text: str) -> str:
    """Return the first word in lower case, or nothing if the text starts with a symbol, a quote or a number."""
    found = re.match(r"[A-Za-z][\w-]*", text)
    return found[0].lower() if found else ""


def is_value(node: Documented) -> bool:
    """Return whether the node is used like a value: a module, a class or a property."""
    if isinstance(node, ast.Module | ast.ClassDef):
        return True
    return any("property" in ast.unparse(decorator) for decorator in node.decorator_list)


def may_be_verb(word: str) -> bool:
    """Return whether the word may be a verb in the imperative."""
    if not word or word in NO_VERBS:
        return False
    if word.endswith("s"):
        return word in VERBS_IN_S
    return not word.endswith(("ed", "ing")) or word in VERBS_IN_ED_OR_ING


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_a_docstring_starts_with_a_verb_or_a_noun_phrase(path: Path) -> None:
    odd = [
        f"{path.name}:{line} {text.splitlines()[0]}"
        for node, line, text in docstrings(path)
        if (first_word(text) in STAND_INS if is_value(node) else not may_be_verb(first_word(text)))
    ]
    assert odd == []


def test_a_test_name_starts_with_its_subject() -> None:
    names = [
        (path, name)
        for path in TESTS
        for name in re.findall(r"^ *def test_(\w+)", path.read_text(encoding="utf-8"), re.M)
    ]
    assert [f"{path.name}: test_{name}" for path, name in names if name.partition("_")[0] in NO_SUBJECTS] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_heading_names_its_topic(path: Path) -> None:
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    allowed = {"for", "if", "in", "on", "to", "with", "without", "when"}
    assert [title for title in re.findall(r"^#+ (.+)$", text, re.M) if first_word(title) in STAND_INS - allowed] == []
