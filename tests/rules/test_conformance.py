"""CONFORMANCE.md states what the code accepts."""

from pathlib import Path

from glam_node.node.results.kinds import SOP_CLASSES
from glam_node.node.scp.contexts import DEFAULT_STORAGE_SOP_CLASSES, TRANSFER_SYNTAXES

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
    assert [row for row in stated if row[0] in SOP_CLASSES] == list(SOP_CLASSES.items())


def split(line: str) -> list[str]:
    """The cells of a row of a table, with what is outside it."""
    return line.split("|")
