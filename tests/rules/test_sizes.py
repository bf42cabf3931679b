"""Tests that files stay short enough to read in one sitting."""

from pathlib import Path

import pytest

SOURCES = sorted((Path(__file__).resolve().parents[2] / "src").rglob("*.py"))
MAXIMUM_LINES = 300


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: "/".join(path.parts[-3:]))
def test_a_source_file_has_fewer_than_300_lines(source: Path) -> None:
    assert len(source.read_text(encoding="utf-8").splitlines()) < MAXIMUM_LINES


def test_every_module_says_what_it_is_for() -> None:
    silent = [str(path) for path in SOURCES if not path.read_text(encoding="utf-8").lstrip().startswith('"""')]
    assert silent == []
