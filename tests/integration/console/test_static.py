"""The files that browsers load: third-party files unchanged, and nothing from other sites."""

import hashlib
import re
from pathlib import Path

import pytest

import glam_node.node.console

CONSOLE = Path(glam_node.node.console.__file__).parent
VENDOR = CONSOLE / "static" / "vendor"
SHIPPED = {
    "htmx.min.js": "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717",
    "idiomorph-ext.min.js": "5811b9a7eda14878b7dab4378bf60432e1bb6f11fcfb970cc26540642650181e",
}


def test_third_party_files_are_unchanged_and_listed_with_their_licence() -> None:
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.glob("*.js")}
    assert files == SHIPPED
    listed = (VENDOR / "README.md").read_text(encoding="utf-8")
    assert all(re.search(rf"`{re.escape(name)}` .*0BSD", listed) for name in SHIPPED)


@pytest.mark.parametrize("template", sorted((CONSOLE / "templates").glob("*.html")), ids=lambda path: path.name)
def test_no_template_contains_a_script_a_style_or_an_external_address(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|https?://", text)
