"""Comparison of docs/attributes.md with the attributes that are written."""

from tests.attributes import DOCUMENT, document
from tests.generated import AGAIN


def test_the_document_lists_the_attributes_that_the_writers_write() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(), AGAIN
