"""Line charts as inline SVG, without scripts, fonts or external files."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 278, 272
_LEFT, _TOP, _SIDE = 46, 26, 212
# Okabe and Ito's colours, which people with colour-blindness can distinguish; dashes distinguish lines in print.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_DASHES = ("", "6 3", "2 3", "9 3 2 3", "1 3", "12 4")

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Series:
    """One line, whose colour depends on the place of its model."""

    name: str
    points: Points
    place: int = 0
    marked: bool = False
    """Whether to draw a dot at each point."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A square diagram whose y axis runs from 0 to 1."""

    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    x_maximum: float = 1.0
    diagonal: bool = False
    """Whether to draw a thin line from the lower left to the upper right."""


def draw(chart: Chart) -> str:
    """Return the chart as an <svg> element."""
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" role="img" '
        f'aria-label="{escape(chart.title, quote=True)}">',
        f'<text x="{_LEFT}" y="16" class="title">{escape(chart.title)}</text>',
        *_axes(chart),
        *(_line(series, chart.x_maximum) for series in chart.series if series.points),
    ]
    if not any(series.points for series in chart.series):
        parts.append(f'<text x="{_LEFT + _SIDE / 2}" y="{_TOP + _SIDE / 2}" text-anchor="middle">no data</text>')
    return "".join([*parts, "</svg>"])


def legend(names: Sequence[str]) -> str:
    """Return the legend of models and their lines, as HTML."""
    items = (
        f'<span><svg viewBox="0 0 36 8" width="36" height="8">{_stroke("0,4 36,4", place)}</svg> {escape(name)}</span>'
        for place, name in enumerate(names)
    )
    return f'<p class="legend">{" ".join(items)}</p>'


def _axes(chart: Chart) -> list[str]:
    bottom, right = _TOP + _SIDE, _LEFT + _SIDE
    parts = []
    for step in range(6):
        x, y = _LEFT + step * _SIDE / 5, bottom - step * _SIDE / 5
        parts.append(f'<path class="grid" d="M{x:g} {_TOP}V{bottom}M{_LEFT} {y:g}H{right}"/>')
        parts.append(f'<text x="{x:g}" y="{bottom + 13}" text-anchor="middle">{chart.x_maximum * step / 5:g}</text>')
        parts.append(f'<text x="{_LEFT - 5}" y="{y + 4:g}" text-anchor="end">{step / 5:g}</text>')
    if chart.diagonal:
        parts.append(f'<path class="diagonal" d="M{_LEFT} {bottom}L{right} {_TOP}"/>')
    middle_x, middle_y = _LEFT + _SIDE / 2, _TOP + _SIDE / 2
    parts.append(f'<text x="{middle_x:g}" y="{bottom + 28}" text-anchor="middle">{escape(chart.x_label)}</text>')
    turned = f'transform="rotate(-90 14 {middle_y:g})"'
    parts.append(f'<text x="14" y="{middle_y:g}" text-anchor="middle" {turned}>{escape(chart.y_label)}</text>')
    return parts


def _line(series: Series, x_maximum: float) -> str:
    places = [
        (_LEFT + min(x / x_maximum, 1) * _SIDE, _TOP + _SIDE - min(max(y, 0), 1) * _SIDE)
        for x, y in _until(series.points, x_maximum)
    ]
    line = _stroke(" ".join(f"{x:.1f},{y:.1f}" for x, y in places), series.place)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{_colour(series.place)}"/>'
        for x, y in (places if series.marked else ())
    )
    return f"<g><title>{escape(series.name)}</title>{line}{dots}</g>"


def _until(points: Points, x_maximum: float) -> Points:
    """Return the points inside the diagram, and the one where the line leaves it."""
    inside = [(x, y) for x, y in points if x <= x_maximum]
    return [*inside, (x_maximum, inside[-1][1])] if inside and len(inside) < len(points) else inside


def _stroke(points: str, place: int) -> str:
    dashes = _DASHES[place % len(_DASHES)]
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<polyline points="{points}" fill="none" stroke="{_colour(place)}" stroke-width="2"{dashed}/>'


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]
