"""The page docs/growth.md and its picture: `python -m tests.benchmarks.growth NAME` writes both from a kept report.

The figures come from docs/benchmarks/NAME.json, which must be of one run that measured throughput and latency.
"""

import sys
from collections.abc import Iterator, Mapping
from itertools import pairwise
from math import log10
from pathlib import Path

from tests.benchmarks.kept_reports import REPORTS, ROOT, THIS_VERSION, THROUGHPUT, KeptReport
from tests.benchmarks.simulation import BUSIEST, STUDY_MB, Costs, Region, error_of, region

PAGE, PICTURE = ROOT / "docs" / "growth.md", ROOT / "docs" / "growth.svg"
FIRST = "<!-- made by `python -m tests.benchmarks.growth` -->\n"
LAST = "<!-- end of what is made -->\n"
SIZES = (1_000, 10_000, 100_000)
LIMIT_S = 60.0
MEASURED_STUDIES, MEASURED_SETTLE_S = 8, 0.5
ROWS_A_STUDY = 23
"""A study, four images, a job, five results and twelve events."""
COLOURS = ("#1b6ca8", "#c1440e", "#3a7d44")


def tables(report: KeptReport, regions: Mapping[int, Region], costs: Costs) -> Iterator[str]:
    """Yield the lines of the part of the page that is made."""
    measured_s = 3600 * MEASURED_STUDIES / float(report.figures[THROUGHPUT, THIS_VERSION]["median"])
    error = error_of(costs, MEASURED_STUDIES, measured_s, MEASURED_SETTLE_S)
    facts = report.machine
    link = f"[{report.name}](benchmarks/{report.name}.json)"
    yield f"Measured: {link}, {facts['processor']}, {facts['cores']} cores. The load average was"
    yield f"{facts['load average before']} before the run and at most {facts['largest load average']} during it."
    yield f"A study takes {costs.receiver:.2f} s of a core in the receiver, {costs.dispatcher:.2f} s in the dispatcher,"
    yield f"{costs.worker:.2f} s in the worker and {costs.sender:.2f} s in the sender."
    yield ""
    yield f"**Error**: {MEASURED_STUDIES} studies that were sent at once to one node on that machine took"
    yield f"{measured_s:.1f} s. Simulated, they take {abs(error):.0%} {'longer' if error >= 0 else 'less'}."
    yield ""
    yield (
        "| studies a day | in the busiest hour | nodes | cores of each node's host | workers in all | "
        "received, busiest hour | images of 30 days | rows of 30 days | half of the studies | 95 % of the studies |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for size, needed in regions.items():
        rate = size * BUSIEST * STUDY_MB * 8 / 3600
        cells = (
            f"{size:,}",
            f"{size * BUSIEST:,.0f}",
            needed.nodes,
            needed.layout.cores,
            needed.nodes * needed.layout.workers,
            f"{rate:,.0f} Mbit/s",
            f"{size * 30 * STUDY_MB / 1e6:,.1f} TB",
            f"{size * 30 * ROWS_A_STUDY / 1e6:,.1f} million",
            f"{needed.median_s:.0f} s",
            f"{needed.most_s:.0f} s",
        )
        yield f"| {' | '.join(map(str, cells))} |"


def picture(tried: Mapping[int, Mapping[int, float]]) -> str:
    """Return an SVG of the time of 95 % of the studies by number of workers of a node, both axes logarithmic."""
    width, height, left, bottom = 640, 320, 60, 40
    most = max(workers for each in tried.values() for workers in each)
    x_max, y_max = log10(most) or 1.0, log10(max(max(each.values()) for each in tried.values()))

    def place(workers: int, seconds: float) -> tuple[float, float]:
        x = left + (width - left - 110) * log10(workers) / x_max
        return x, height - bottom - (height - bottom - 20) * (log10(seconds) - 1) / max(y_max - 1, 0.1)

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">',
        "<title>Seconds from the last image to the last result of 95 % of the studies, by workers of a node</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<path d="M{left} 20V{height - bottom}H{width - 100}" fill="none" stroke="#444"/>',
        f'<text font-size="12" x="{left}" y="{height - 10}">workers of a node: 1 to {most}</text>',
        f'<text font-size="12" x="8" y="14">seconds for 95 % of the studies: 10 to {10**y_max:,.0f}</text>',
    ]
    for colour, (size, each) in zip(COLOURS, tried.items(), strict=True):
        points = [place(workers, seconds) for workers, seconds in sorted(each.items())]
        for (x, y), (next_x, next_y) in pairwise(points):
            lines.append(f'<path d="M{x:.1f} {y:.1f}L{next_x:.1f} {next_y:.1f}" stroke="{colour}" stroke-width="2"/>')
        lines += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        x, y = points[-1]
        lines.append(f'<text font-size="12" x="{x + 6:.1f}" y="{y:.1f}" fill="{colour}">{size:,} a day</text>')
    return "\n".join([*lines, "</svg>", ""])


def main(name: str) -> None:
    """Write the page and the picture."""
    report = KeptReport.read(REPORTS / f"{name}.json")
    costs = Costs.measured(report)
    tried: dict[int, dict[int, float]] = {size: {} for size in SIZES}
    regions = {size: region(size, costs, LIMIT_S, tried[size]) for size in SIZES}
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(FIRST)
    made = "".join(f"{line}\n" for line in tables(report, regions, costs))
    PAGE.write_text(f"{before}{FIRST}{made}{LAST}{rest.partition(LAST)[2]}", encoding="utf-8")
    PICTURE.write_text(picture(tried), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).stem)
