"""An evaluation as one self-contained HTML file: tables, curves, pictures and the definition of each number."""

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from glam_node.research.evaluation.evaluate_models import Evaluation, ModelEvaluation
from glam_node.research.evaluation.measure.froc import FrocCurve
from glam_node.research.evaluation.report.definitions import DEFINITIONS, RESEARCH_USE, UNTRAINED
from glam_node.research.evaluation.report.gallery import Exhibit
from glam_node.research.evaluation.report.svg import Chart, Series, draw, legend
from glam_node.research.evaluation.report.tables import (
    TextTable,
    area_table,
    comparison_table,
    froc_table,
    kinds_of,
    measures_table,
    operating_point_table,
    subgroup_table,
)

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1180px; margin: 2rem auto; padding: 0 1rem; color: #1b1b1b;
  background: #fff; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.2rem; } h3 { font-size: 1.05rem; }
.warning { background: #fff3cd; border-left: 5px solid #d39e00; padding: .6rem .9rem; }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child { text-align: left; font-weight: 400; }
thead th { font-weight: 600; border-bottom: 2px solid #999; }
tbody tr:nth-child(even) { background: #f6f7f9; }
.facts th, .facts td { text-align: left; overflow-wrap: anywhere; } .facts th { white-space: nowrap; font-weight: 600; }
.charts { display: flex; flex-wrap: wrap; gap: 12px; }
.side { display: flex; flex-wrap: wrap; gap: 0 3rem; align-items: flex-start; }
svg text { font: 11px system-ui, sans-serif; fill: #333; } svg .title { font-size: 13px; font-weight: 600; }
svg .grid { stroke: #e3e3e3; fill: none; } svg .diagonal { stroke: #999; fill: none; }
.legend span { margin-right: 1.4rem; } .legend svg { vertical-align: middle; }
.exhibit > p { margin: .6rem 0 .2rem; font-family: ui-monospace, monospace; font-size: .85rem;
  overflow-wrap: anywhere; }
.exhibit > div { display: flex; flex-wrap: wrap; gap: 10px; }
figure { margin: 0; } figure img { display: block; max-width: 100%; }
figcaption { background: #fff; font-size: .8rem; padding-top: .2rem; max-width: 260px; }
dt { font-weight: 600; } dd { margin: 0 0 .5rem 1.2rem; }
"""


_SHOWN_FAILURES = 200
_FROC_RATE = 2.0
# A browser loads and runs nothing for this page, whatever text a data set's names contain.
_POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
)


@dataclass(frozen=True, slots=True)
class Heading:
    """The report's statements about the package and the run."""

    title: str
    trained: bool
    facts: tuple[tuple[str, str], ...]
    """Pairs of name and value: package, digest, versions, date ..."""


def render_report(evaluation: Evaluation, heading: Heading, gallery: Sequence[Exhibit]) -> str:
    """Render the whole document; every text in it is escaped."""
    tables = comparison_table(evaluation.comparisons), operating_point_table(evaluation)
    body = [
        f"<h1>{escape(heading.title)}</h1>",
        *(f'<p class="warning">{escape(text)}</p>' for text in _warnings(heading)),
        _facts(heading, evaluation),
        *_classes(evaluation),
        *(_section(table) for table in tables if table.rows),
        *_remarks(evaluation),
        *_gallery(gallery),
        *_failures(evaluation.models),
        "<h2>How each number is made</h2><dl>",
        *(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in DEFINITIONS),
        "</dl>",
    ]
    head = f'<meta charset="utf-8">{_POLICY}<title>{escape(heading.title)}</title><style>{STYLE}</style>'
    viewport = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}{viewport}</head><body>{"".join(body)}</body></html>\n'


def _warnings(heading: Heading) -> Iterator[str]:
    yield RESEARCH_USE
    if not heading.trained:
        yield UNTRAINED


def _facts(heading: Heading, evaluation: Evaluation) -> str:
    counts = (
        f"{evaluation.view_count} views of {evaluation.study_count} studies ({evaluation.patient_count} patients or "
        "studies that the bootstrap draws)"
    )
    facts = [
        *heading.facts,
        ("Measured", f"{evaluation.dataset}: {counts}"),
        ("Thresholds", evaluation.rule),
        ("Intervals", f"95 %, {evaluation.resamples} resamples of patients, seed {evaluation.seed}"),
    ]
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts)
    return f'<table class="facts">{rows}</table>'


def _classes(evaluation: Evaluation) -> Iterator[str]:
    names = [model.name for model in evaluation.models]
    for place, kind in enumerate(kinds_of(evaluation)):
        table = measures_table(evaluation, place)
        yield _section(table)
        yield legend(names)
        charts = "".join(draw(chart) for chart in _charts(evaluation.models, place, str(kind)))
        yield f'<div class="charts">{charts}</div>'
        yield f'<div class="side">{_table(froc_table(evaluation, place))}{_table(area_table(evaluation, place))}</div>'
        yield _table(subgroup_table(evaluation, place))


def _charts(models: Sequence[ModelEvaluation], place: int, kind: str) -> list[Chart]:
    measures = [(number, model.name, model.classes[place]) for number, model in enumerate(models)]
    roc = [Series(name, each.image.roc, number) for number, name, each in measures]
    pr = [Series(name, each.image.pr, number) for number, name, each in measures]
    found = [(number, name, each.findings.froc) for number, name, each in measures if each.findings]
    froc = [Series(name, _froc_points(curve), number) for number, name, curve in found if curve]
    bins = [(number, name, each.calibration.bins) for number, name, each in measures if each.calibration]
    reliable = [
        Series(name, [(one.mean_score, one.positive_share) for one in some], number, marked=True)
        for number, name, some in bins
    ]
    return [
        Chart(f"ROC, images, {kind}", "false positive rate", "sensitivity", roc, diagonal=True),
        Chart(f"PR, images, {kind}", "recall", "precision", pr),
        Chart(f"FROC, lesions, {kind}", "false positives per normal image", "lesions found", froc, _FROC_RATE),
        Chart(f"Reliability, images, {kind}", "mean score", "share with a lesion", reliable, diagonal=True),
    ]


def _froc_points(curve: FrocCurve) -> list[tuple[float, float]]:
    """Return the points of the curve, extended horizontally to the right edge."""
    points = list(zip(curve.false_positives_per_normal, curve.sensitivity, strict=True))
    return [*points, (max(_FROC_RATE, points[-1][0]), points[-1][1])]


def _table(table: TextTable, titled: bool = True) -> str:
    if not table.rows:
        return ""
    head = "".join(f"<th>{escape(column)}</th>" for column in table.columns)
    rows = "".join(
        f"<tr><th>{escape(row[0])}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in row[1:])}</tr>"
        for row in table.rows
    )
    caption = f"<caption>{escape(table.title)}</caption>" if titled else ""
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _section(table: TextTable) -> str:
    return f"<h2>{escape(table.title)}</h2>{_table(table, titled=False)}"


def _remarks(evaluation: Evaluation) -> Iterator[str]:
    remarks = [
        f"{model.name}: {remark}"
        for model in evaluation.models
        for each in model.tuning.classes
        for remark in each.remarks
    ]
    if remarks:
        yield "<h2>What could not be chosen</h2>" + _list(remarks)


def _failures(models: Sequence[ModelEvaluation]) -> Iterator[str]:
    failed = [
        f"{model.name}, {part}: {failure.image_id}: {failure.reason}"
        for model in models
        for part, failures in (("validation", model.tuning.failures), ("test", model.failures))
        for failure in failures
    ]
    if failed:
        more = len(failed) - _SHOWN_FAILURES
        shown = failed[:_SHOWN_FAILURES] + ([f"and {more} more, all of them in metrics.json"] if more > 0 else [])
        yield f"<h2>Views that could not be measured and are in no number: {len(failed)}</h2>" + _list(shown)


def _list(items: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"


def _gallery(gallery: Sequence[Exhibit]) -> Iterator[str]:
    if not gallery:
        return
    yield (
        "<h2>Gallery</h2><p>Green: outlined by the data set. Tint: the saliency map, as strong as its value. "
        "Cyan lines: findings as the node would report them. Ids are those of the data set.</p>"
    )
    for heading, exhibits in groupby(gallery, key=lambda exhibit: exhibit.pick.heading):
        yield f"<h3>{escape(heading)}</h3>"
        for exhibit in exhibits:
            figures = "".join(
                f'<figure><img alt="{escape(panel.caption, quote=True)}" src="data:image/png;base64,'
                f'{base64.b64encode(panel.png).decode("ascii")}"><figcaption>{escape(panel.caption)}</figcaption></figure>'
                for panel in exhibit.panels
            )
            yield f'<section class="exhibit"><p>{escape(exhibit.pick.view.image_id)}</p><div>{figures}</div></section>'
