"""The generated files of the repository: `make generate` writes them again after a change of what they show."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from pydicom.sr.coding import Code

from glam_node.node.results import codes
from glam_node.rules.reference import explanation
from glam_node.settings.reference import commented_file
from tests import attributes, features
from tests.benchmarks import kept_reports

ROOT = Path(__file__).resolve().parents[1]
AGAIN = "run `make generate`, and commit what it writes"
"""Remedy for a generated file that is not up to date."""


def written_codes() -> list[Code]:
    """Return the codes of the writers' table by scheme and value."""
    values = [value for name, value in vars(codes).items() if name.isupper()]
    found = [value for value in values if isinstance(value, Code)]
    found += [code for value in values if isinstance(value, dict) for code in value.values() if isinstance(code, Code)]
    return sorted(set(found), key=lambda code: (code.scheme_designator, code.value))


def _conformance() -> str:
    """Return CONFORMANCE.md with the table of codes."""
    rows = "".join(f"| {code.value} | {code.scheme_designator} | {code.meaning} |\n" for code in written_codes())
    text = (ROOT / "CONFORMANCE.md").read_text(encoding="utf-8")
    return re.sub(r"(?<=\| value \| scheme \| meaning \|\n\|---\|---\|---\|\n)(\|.*\n)+", lambda _: rows, text)


def _rules() -> str:
    """Return docs/rules.md with the reference of the language at its end."""
    first, _, _ = explanation().partition("\n")
    before, _, _ = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8").partition(first)
    return before + explanation()


GENERATED: Mapping[str, Callable[[], str]] = {
    "src/glam_node/settings/node.toml": commented_file,
    "docs/rules.md": _rules,
    "CONFORMANCE.md": _conformance,
    "docs/features.md": features.page,
    "docs/attributes.md": attributes.document,
    "docs/sizing.md": kept_reports.sizing,
}
"""The content of each generated file, by its path."""

if __name__ == "__main__":
    for name, content in GENERATED.items():
        (ROOT / name).write_text(content(), encoding="utf-8")
