"""CONFORMANCE.md states what the code accepts."""

from pathlib import Path

from glam_node.node.scp.contexts import DEFAULT_STORAGE_SOP_CLASSES, TRANSFER_SYNTAXES

STATEMENT = (Path(__file__).resolve().parents[2] / "CONFORMANCE.md").read_text(encoding="utf-8")


def test_every_accepted_class_and_syntax_is_stated_in_order() -> None:
    lines = [line for line in STATEMENT.splitlines() if line.startswith("| ")]
    stated = [line.rsplit("|", 2)[1].strip() for line in lines]
    positions = [stated.index(uid) for uid in (*DEFAULT_STORAGE_SOP_CLASSES, *TRANSFER_SYNTAXES)]
    assert positions == sorted(positions)
