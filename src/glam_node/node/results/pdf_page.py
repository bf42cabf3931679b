"""The layout of the one-page summary of a study as a PDF."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from io import BytesIO
from itertools import chain

from PIL import Image

from glam_node.inference.mammogram import Laterality
from glam_node.node.domain.words import counted
from glam_node.node.results.identity import VIEW_ORDER
from glam_node.node.results.pdf_text import SUBSTITUTE, TextPage, height
from glam_node.node.results.summary_page import SHOWN_KINDS, TITLE, SummaryPage, SummaryView
from glam_node.node.results.tracking import DISPLAY_RGB

_LEFT, _RIGHT = 10.0, 287.0
_WIDTH = _RIGHT - _LEFT
_BANNER_COLOUR, _GREY, _LIGHT = (255, 200, 60), (95, 95, 95), (190, 190, 190)
_BANNER, _TITLE, _PATIENT, _PANELS, _CAPTIONS, _TABLE, _NOTES, _ORIGIN = 8, 17, 26, 46, 132, 152, 182, 193
_PANEL_HEIGHT = 85.0
# The chest walls of a pair of views meet; the pairs of CC and MLO are apart.
_PAIR_GAP, _GAP = 0.5, 6.0
_PANEL_WIDTH = (_WIDTH - 2 * _PAIR_GAP - _GAP) / 4
_MOST_FINDINGS = 4
_TABLE_WIDTH = 160.0
_REMARKS = _LEFT + _TABLE_WIDTH + 7
_QUALITY = 88
# The longest name that DICOM allows fits in the smallest of these sizes.
_IDENTITY_SIZES = (11, 9, 6.5, 5.5, 4.5)
UNKNOWN_CHARACTERS = f"The fonts lack characters that are shown as {SUBSTITUTE}; the header of the object has them."
"""The remark on a page whose facts about the patient have characters that no font has."""


def pdf_page(page: SummaryPage, pictures: Mapping[str, Image.Image | str], creator: str, created: datetime) -> bytes:
    """Return the summary as a PDF of one page, A4 on its side.

    Args:
        page: The facts.
        pictures: For each view that is drawn, its picture, or the reason why it cannot be drawn.
        creator: The name of the program that writes the file.
        created: The time of the results.
    """
    sheet = TextPage(f"{TITLE}. {page.statement}", creator, created, [*_texts(page), *_texts(tuple(pictures.values()))])
    _head(sheet, page)
    for view, (laterality, _), left in zip(page.views, VIEW_ORDER, _panel_places(), strict=True):
        _panel(sheet, view, left, laterality, pictures.get(view.name, view.failure))
    _table(sheet, page)
    is_whole = all(sheet.has_all(value) for _, value in page.patient)
    remarks = page.remarks if is_whole else (UNKNOWN_CHARACTERS, *page.remarks)
    # Only paragraphs may be cut off: the sentence that prior exams are context is beside the heading.
    title = f"Remarks. {page.priors[0]}" if page.priors else "Remarks"
    _remarks(sheet, title, (*remarks, *page.priors[1:]))
    sheet.paragraphs(page.notes, (_LEFT, _NOTES), (_TABLE_WIDTH, _ORIGIN - _NOTES), (6.5, 5.5, 4.5), colour=_GREY)
    _foot(sheet, page)
    return sheet.document()


def _texts(value: object) -> Iterator[str]:
    """Yield every text in dataclasses and tuples."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        yield from chain.from_iterable(map(_texts, value))
    elif is_dataclass(value):
        yield from chain.from_iterable(_texts(getattr(value, one.name)) for one in fields(value))


def _head(sheet: TextPage, page: SummaryPage) -> None:
    sheet.pdf.set_fill_color(*_BANNER_COLOUR)
    sheet.pdf.rect(_LEFT, _BANNER, _WIDTH, 7, style="F")
    sheet.line(page.statement, (_LEFT + 2, _BANNER + 0.8), _WIDTH - 4, 12, bold=True)
    sheet.line(TITLE, (_LEFT, _TITLE), _WIDTH, 14, bold=True)
    columns = (0.0, 0.46, 0.75)
    for number, (label, value) in enumerate(page.patient):
        column, row = number % 3, number // 3
        place = _LEFT + columns[column] * _WIDTH
        width = ((*columns, 1.0)[column + 1] - columns[column]) * _WIDTH - 3
        sheet.line(label, (place, _PATIENT + 9.5 * row), width, 7, colour=_GREY)
        sheet.paragraphs([value], (place, _PATIENT + 3.2 + 9.5 * row), (width, 6), _IDENTITY_SIZES, bold=True)


def _panel_places() -> Iterator[float]:
    left = _LEFT
    for gap in (_PAIR_GAP, _GAP, _PAIR_GAP, 0.0):
        yield left
        left += _PANEL_WIDTH + gap


def _panel(sheet: TextPage, view: SummaryView, left: float, laterality: Laterality, picture: Image.Image | str) -> None:
    sheet.pdf.set_fill_color(0, 0, 0)
    sheet.pdf.rect(left, _PANELS, _PANEL_WIDTH, _PANEL_HEIGHT, style="F")
    if isinstance(picture, str):
        sheet.line(view.name, (left + 3, _PANELS + 3), _PANEL_WIDTH - 6, 12, colour=_LIGHT)
        room = (_PANEL_WIDTH - 6, _PANEL_HEIGHT - 15)
        sheet.paragraphs([picture], (left + 3, _PANELS + 11), room, (9, 8, 7), colour=_LIGHT)
    else:
        _draw(sheet, picture, left, laterality)
    sheet.line(f"{view.name}: {view.text}", (left, _CAPTIONS), _PANEL_WIDTH - 3, 7.5, bold=True)
    _findings(sheet, view, left)


def _draw(sheet: TextPage, picture: Image.Image, left: float, laterality: Laterality) -> None:
    """Draw a picture as large as its panel allows, with the chest wall towards the other breast."""
    scale = min(_PANEL_WIDTH / picture.width, _PANEL_HEIGHT / picture.height)
    width, tall = picture.width * scale, picture.height * scale
    x = left + _PANEL_WIDTH - width if laterality is Laterality.RIGHT else left
    file = BytesIO()
    picture.save(file, format="JPEG", quality=_QUALITY, subsampling=0)
    file.seek(0)
    sheet.pdf.image(file, x=x, y=_PANELS + (_PANEL_HEIGHT - tall) / 2, w=width, h=tall)


def _findings(sheet: TextPage, view: SummaryView, left: float) -> None:
    """List the findings in two columns, or the first of them and the number of the others."""
    shown, size = view.findings, 6.5
    if len(shown) > 2 * _MOST_FINDINGS:
        shown = shown[: 2 * _MOST_FINDINGS - 1]
        rest = f"and {counted(len(view.findings) - len(shown), 'more finding')}"
    for number, finding in enumerate(shown):
        x, y = _finding_place(left, number, size)
        sheet.pdf.set_fill_color(*DISPLAY_RGB[finding.kind])
        sheet.pdf.rect(x, y + 0.6, 1.6, 1.6, style="F")
        sheet.line(finding.text, (x + 2.5, y), _PANEL_WIDTH / 2 - 4, size)
    if len(shown) < len(view.findings):
        x, y = _finding_place(left, len(shown), size)
        sheet.line(rest, (x, y), _PANEL_WIDTH / 2 - 2, size, colour=_GREY)


def _finding_place(left: float, number: int, size: float) -> tuple[float, float]:
    column, row = divmod(number, _MOST_FINDINGS)
    return left + column * _PANEL_WIDTH / 2, _CAPTIONS + 4.2 + row * height(size)


def _table(sheet: TextPage, page: SummaryPage) -> None:
    columns = (0.0, 26.0, 71.0, 116.0)
    widths = [right - left - 2 for left, right in zip(columns, (*columns[1:], _TABLE_WIDTH), strict=True)]
    heads = ["Scores", *(str(kind) for kind in SHOWN_KINDS), "Outcome"]
    for left, width, text in zip(columns, widths, heads, strict=True):
        sheet.line(text, (_LEFT + left, _TABLE), width, 8, bold=True, colour=_GREY)
    for number, row in enumerate(page.rows):
        top = _TABLE + 5 + 8 * number
        sheet.pdf.set_draw_color(*_LIGHT)
        sheet.pdf.line(_LEFT, top - 0.4, _LEFT + _TABLE_WIDTH, top - 0.4)
        sheet.line(row.name, (_LEFT, top), widths[0], 9, bold=True)
        for left, width, score in zip(columns[1:], widths[1:], row.scores, strict=False):
            sheet.line(score.text, (_LEFT + left, top), width, 9, bold=True)
            sheet.line(score.operating_point, (_LEFT + left, top + 3.8), width, 6.5, colour=_GREY)
        sheet.paragraphs([row.outcome], (_LEFT + columns[3], top), (widths[3], 7.6), (7.5, 6.5))


def _remarks(sheet: TextPage, title: str, remarks: Sequence[str]) -> None:
    width = _RIGHT - _REMARKS
    sheet.line(title, (_REMARKS, _TABLE), width, 8, bold=True, colour=_GREY)
    room = (width, _ORIGIN - 1 - _TABLE - 5)
    sheet.paragraphs(remarks or ["None."], (_REMARKS, _TABLE + 5), room, (8, 7, 6), more="and {count} more remarks")


def _foot(sheet: TextPage, page: SummaryPage) -> None:
    sheet.pdf.set_draw_color(*_LIGHT)
    sheet.pdf.line(_LEFT, _ORIGIN, _RIGHT, _ORIGIN)
    facts = [f"{label}: {value}" for label, value in page.origin]
    half = (len(facts) + 1) // 2
    for number, part in enumerate((facts[:half], [*facts[half:], "Page 1 of 1"])):
        sheet.line(" · ".join(part), (_LEFT, _ORIGIN + 1 + 3.5 * number), _WIDTH, 7, colour=_GREY)
