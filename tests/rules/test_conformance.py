"""Tests that CONFORMANCE.md states what the code accepts."""

import re
from pathlib import Path

from glam_node.node.scp.contexts import DEFAULT_STORAGE_SOP_CLASSES, TRANSFER_SYNTAXES
from glam_node.result_kinds import SOP_CLASSES
from tests.generated import AGAIN, written_codes

STATEMENT = (Path(__file__).resolve().parents[2] / "CONFORMANCE.md").read_text(encoding="utf-8")


def test_every_accepted_class_and_syntax_is_stated_in_order() -> None:
    lines = [line for line in STATEMENT.splitlines() if line.startswith("| ")]
    stated = [line.rsplit("|", 2)[1].strip() for line in lines]
    positions = [stated.index(uid) for uid in (*DEFAULT_STORAGE_SOP_CLASSES, *TRANSFER_SYNTAXES)]
    assert positions == sorted(positions)


def test_every_kind_of_result_is_stated_with_its_class() -> None:
    requestor = STATEMENT.partition("## 3. As a requestor")[2].partition("## 4.")[0]
    stated = [
        (row[1].strip().split(" ")[0], row[3].strip()) for row in map(split, requestor.splitlines()) if len(row) == 5
    ]
    assert [row for row in stated if row[0] in SOP_CLASSES] == list(SOP_CLASSES.items()), (
        "list the kinds of result_kinds.py in CONFORMANCE.md, 3, in the same order"
    )


def test_every_code_that_is_written_is_stated_and_no_other() -> None:
    stated = STATEMENT.partition("### 4.1 Codes")[2].partition("\n#")[0]
    assert stated.strip().splitlines()[-len(written_codes()) :] == [
        f"| {code.value} | {code.scheme_designator} | {code.meaning} |" for code in written_codes()
    ], AGAIN


def test_every_test_that_the_statement_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", STATEMENT))
    tests = Path(__file__).resolve().parents[1].rglob("test_*.py")
    there = {name for path in tests for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.M)}
    assert named
    assert named <= there


def split(line: str) -> list[str]:
    """Return the cells of a table row, including the text outside its outer bars."""
    return line.split("|")
