"""Fonts for one page of a PDF, reduced to the characters of the page.

fpdf reads a font anew for each document, and reads all of its glyphs, which takes a fifth of a second for our fonts.
HarfBuzz reduces a font in less than a millisecond, so that fpdf reads some hundred glyphs.
"""

from collections.abc import Iterator, Set
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import cast

import uharfbuzz
from fpdf import FPDF
from fpdf.fonts import HarfBuzzFont, TTFFont

MAIN = "text"
"""The family for all text; fpdf takes characters that it lacks from the other families."""
_DIRECTORY = Path(__file__).parent / "fonts"
_MAIN_FILES = {"": "DejaVuSans.ttf", "B": "DejaVuSans-Bold.ttf"}
_FURTHER_FILES = {"thai": "NotoSansThai-Regular.ttf", "east-asian": "DroidSansFallback.ttf"}
# Latin letters, for the words of the page itself
_USUAL = frozenset({*range(0x20, 0x100), ord("\N{HORIZONTAL ELLIPSIS}"), ord("\N{REPLACEMENT CHARACTER}")})


def add_fonts(pdf: FPDF, text: str) -> None:
    """Add reduced fonts to a document: those that are needed to write the characters of a text, and Latin letters.

    Args:
        pdf: The document.
        text: All characters that the document may show beside those of ISO 8859-1.
    """
    wanted = _USUAL | frozenset(map(ord, text))
    for style, file in _MAIN_FILES.items():
        _add(pdf, MAIN, style, file, wanted)
    lacking = frozenset(code for code in wanted if not all(_has(file, code) for file in _MAIN_FILES.values()))
    families = [family for family, file in _FURTHER_FILES.items() if any(_has(file, code) for code in lacking)]
    for family in families:
        _add(pdf, family, "", _FURTHER_FILES[family], lacking)
    pdf.set_fallback_fonts(families, False)


def known_codes(pdf: FPDF) -> frozenset[int]:
    """Return the characters that the document can show."""
    return frozenset(code for font in _embedded(pdf) for code in font.cmap)


def close_fonts(pdf: FPDF) -> None:
    """Release the fonts of a finished document."""
    for font in _embedded(pdf):
        font.close()


class _ReducedFont(TTFFont):
    """A font whose file is in memory."""

    @property
    def hbfont(self) -> HarfBuzzFont:
        """The font for HarfBuzz, which joins and places letters."""
        if self._hbfont is None:
            self._hbfont = HarfBuzzFont(uharfbuzz.Face(cast(BytesIO, self.ttffile).getvalue()))
        return self._hbfont


def _embedded(pdf: FPDF) -> Iterator[TTFFont]:
    return (font for font in pdf.fonts.values() if isinstance(font, TTFFont))


def _add(pdf: FPDF, family: str, style: str, file: str, codes: Set[int]) -> None:
    wanted = uharfbuzz.SubsetInput()
    wanted.unicode_set.update(codes)
    wanted.flags = uharfbuzz.SubsetFlags.NOTDEF_OUTLINE
    reduced = uharfbuzz.subset(_face(file), wanted).blob.data
    key = f"{family}{style}"
    pdf.fonts[key] = _ReducedFont(pdf, cast(Path, BytesIO(reduced)), key, style)


@cache
def _face(file: str) -> uharfbuzz.Face:
    return uharfbuzz.subset_preprocess(uharfbuzz.Face(uharfbuzz.Blob.from_file_path(_DIRECTORY / file)))


@cache
def _font(file: str) -> uharfbuzz.Font:
    return uharfbuzz.Font(_face(file))


def _has(file: str, code: int) -> bool:
    return bool(_font(file).get_nominal_glyph(code))
