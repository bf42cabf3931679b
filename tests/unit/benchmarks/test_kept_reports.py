import json
from pathlib import Path

from tests.benchmarks.kept_reports import REPORTS, SHOWN, KeptReport, kept_reports, tables

TITLE, (BENCHMARK, NAME) = next(iter(SHOWN.items()))


def kept(folder: Path, name: str, *parts: float | None) -> KeptReport:
    """Keep a report of one figure, with its least, median and largest round."""
    figure = dict(zip(("least", "median", "largest"), parts, strict=True))
    figures = [{"benchmark": BENCHMARK, "name": NAME, "unit": "times", "rounds": 5} | figure] if parts[0] else []
    content = {"machine": {"processor": "Z80", "cores": "1"}, "note": "It was quiet.", "figures": figures}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content))
    return KeptReport.read(path)


def test_the_table_has_the_median_and_the_range_of_each_machine(tmp_path: Path) -> None:
    reports = [
        kept(tmp_path, "one", 2.04, 2.1, 2.25),
        kept(tmp_path, "two", 3.0, None, 3.2),
        kept(tmp_path, "x", 5, 5, 5),
    ]
    lines = list(tables(reports))
    assert "1. **one** ([report](benchmarks/one.json)): Z80. It was quiet." in lines
    assert "   cores: 1." in lines
    assert f"| {TITLE} | times | 2.1 (2.04 to 2.25) | 3 to 3.2 | 5 |" in lines


def test_a_figure_that_no_machine_has_is_left_out_and_one_that_some_lack_is_empty(tmp_path: Path) -> None:
    none = kept(tmp_path, "none", None, None, None)
    assert not any(line.startswith(f"| {TITLE}") for line in tables([none]))
    assert f"| {TITLE} | times |  | 2 |" in list(tables([none, kept(tmp_path, "some", 2, 2, 2)]))


def test_every_kept_report_names_its_machine_and_its_circumstances_or_its_load() -> None:
    reports = kept_reports(REPORTS)
    assert reports
    for report in reports:
        assert report.machine["processor"]
        assert report.figures
        assert report.note or "load average before" in report.machine, report.name
