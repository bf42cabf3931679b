"""Text on a page of a PDF: embedded fonts for the character sets of DICOM, and text that fits its place."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from string import Template
from typing import cast

from fpdf import FPDF

from glam_node.node.results.pdf_fonts import MAIN, add_fonts, close_fonts, known_codes

SUBSTITUTE = "\N{REPLACEMENT CHARACTER}"
"""The character that is shown in place of one that no font has."""
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
# The smallest part of the wanted size to which a line is reduced before it is shortened
_SMALLEST = 0.7
_LINE = 1.25
# XMP (ISO 16684-1), as PDF/A-2b (ISO 19005-2 6.6) demands it
_METADATA = Template("""<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:pdf="http://ns.adobe.com/pdf/1.3/" xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/"
 xmp:CreatorTool="$creator" xmp:CreateDate="$created" pdf:Producer="$creator">
<pdfaid:part>2</pdfaid:part><pdfaid:conformance>B</pdfaid:conformance>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">$title</rdf:li></rdf:Alt></dc:title>
<dc:creator><rdf:Seq><rdf:li>$creator</rdf:li></rdf:Seq></dc:creator>
</rdf:Description></rdf:RDF></x:xmpmeta>""")
_MM_PER_POINT = 25.4 / 72


class TextPage:
    """One page of a PDF on which text never runs over its place. Lengths are in mm, font sizes in points."""

    def __init__(self, title: str, creator: str, created: datetime, texts: Iterable[str]) -> None:
        """Create an empty page, A4 on its side, in a document that follows PDF/A-2b.

        Args:
            title: The title of the document; it must not identify a patient.
            creator: The name of the program.
            created: The creation time; the same input gives the same bytes.
            texts: The texts that the page may show, as far as they have characters beyond ISO 8859-1.
        """
        self.pdf = FPDF("landscape", "mm", "A4", enforce_compliance="PDF/A-2B")
        self.pdf.set_creation_date(created)
        self.pdf.set_title(title)
        for set_name in (self.pdf.set_author, self.pdf.set_creator, self.pdf.set_producer):
            set_name(creator)
        # fpdf's own metadata contains the present time, so that the same page would have other bytes.
        values = {"title": escape(title), "creator": escape(creator), "created": created.isoformat(timespec="seconds")}
        self.pdf.set_xmp_metadata(_METADATA.substitute(values))
        self.pdf.set_lang("en")
        self.pdf.set_auto_page_break(False)
        add_fonts(self.pdf, "".join(texts))
        self.pdf.set_text_shaping(True)
        self.pdf.set_margin(0)
        self.pdf.c_margin = 0
        self.pdf.add_page()
        self._known = known_codes(self.pdf)

    def line(
        self,
        text: str,
        place: tuple[float, float],
        width: float,
        size: float,
        *,
        bold: bool = False,
        colour: tuple[int, int, int] = (0, 0, 0),
    ) -> None:
        """Write one line; if it is too wide, reduce its font and then shorten it.

        Args:
            text: The line.
            place: The left and upper corner.
            width: The width that it may take.
            size: The font size.
            bold: Whether to use the bold font, for characters that it has.
            colour: Red, green and blue, 8 bits each.
        """
        self._use(size, bold=bold, colour=colour)
        shown = self._shown(text)
        needed = self.pdf.get_string_width(shown)
        if needed > width:
            self.pdf.set_font_size(size * max(_SMALLEST, width / needed))
            shown = self._shortened(shown, width)
        self.pdf.set_xy(*place)
        self.pdf.cell(width, height(size), shown)

    def paragraphs(
        self,
        texts: Sequence[str],
        place: tuple[float, float],
        room: tuple[float, float],
        sizes: Sequence[float],
        *,
        more: str = "and {count} more",
        bold: bool = False,
        colour: tuple[int, int, int] = (0, 0, 0),
    ) -> None:
        """Write paragraphs in the first size in which all fit; in the smallest size, replace the last by their number.

        Args:
            texts: The paragraphs.
            place: The left and upper corner.
            room: The width and height that they may take.
            sizes: The font sizes to choose from, the largest first.
            more: The last line if not all fit.
            bold: Whether to use the bold font, for characters that it has.
            colour: Red, green and blue, 8 bits each.
        """
        shown = [self._shown(text) for text in texts]
        for size in sizes:
            self._use(size, bold=bold, colour=colour)
            wrapped = [self._wrapped(text, room[0]) for text in shown]
            lines = int(room[1] / height(size))
            if sum(map(len, wrapped)) <= lines:
                break
        for number, line in enumerate(self._first(wrapped, lines, more)):
            self.pdf.set_xy(place[0], place[1] + number * height(size))
            self.pdf.cell(room[0], height(size), self._shortened(line, room[0]))

    def has_all(self, text: str) -> bool:
        """Return whether the fonts have every character of a text."""
        return SUBSTITUTE not in self._shown(text)

    def document(self) -> bytes:
        """Return the finished document."""
        document = bytes(self.pdf.output())
        close_fonts(self.pdf)
        return document

    def _first(self, paragraphs: Sequence[Sequence[str]], most: int, more: str) -> list[str]:
        """Return the lines of the paragraphs; if there are more than `most`, the number of those left out is last.

        The first paragraph is shortened if it is too long alone.
        """
        if sum(map(len, paragraphs)) <= most:
            return [line for paragraph in paragraphs for line in paragraph]
        lines: list[str] = []
        for number, paragraph in enumerate(paragraphs):
            left = len(paragraphs) - number - 1
            room = most - len(lines) - bool(left)
            if len(paragraph) > room:
                if number:
                    return [*lines, more.format(count=left + 1)]
                paragraph = [*paragraph[: room - 1], f"{paragraph[room - 1]}{_ELLIPSIS}"]
            lines += paragraph
        return lines

    def _wrapped(self, text: str, width: float) -> list[str]:
        lines = self.pdf.multi_cell(width, None, text, dry_run=True, output="LINES", align="L")
        return [line.strip() for line in cast(list[str], lines)]

    def _shortened(self, text: str, width: float) -> str:
        while text and self.pdf.get_string_width(text) > width:
            text = f"{text.removesuffix(_ELLIPSIS)[:-1]}{_ELLIPSIS}" if len(text) > 1 else ""
        return text

    def _shown(self, text: str) -> str:
        """Return the text with a substitute for each character that cannot be shown, on one line."""
        printable = " ".join("".join(one if one.isprintable() else " " for one in text).split())
        return "".join(one if ord(one) in self._known else SUBSTITUTE for one in printable)

    def _use(self, size: float, *, bold: bool = False, colour: tuple[int, int, int]) -> None:
        self.pdf.set_font(MAIN, "B" if bold else "", size)
        self.pdf.set_text_color(*colour)


def height(size: float) -> float:
    """Return the height of a line in mm by its font size in points."""
    return size * _LINE * _MM_PER_POINT
