"""The reports that docs/benchmarks keeps, one for each machine, and the tables of docs/sizing.md that are made of them.

`make benchmark NAME=...` writes one. A report with `"rounds": 0` was copied from text that gave only the least and the
largest value.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
REPORTS = ROOT / "docs" / "benchmarks"
PAGE = ROOT / "docs" / "sizing.md"
FIRST = "<!-- made from docs/benchmarks by `make generate` -->\n"
THIS_VERSION = "this version"
LAST = "<!-- end of what is made -->\n"
NONE = ""

_FORWARD = "test_forward.py::test_a_positive_view_by_each_route"
_MIX = "test_forward.py::test_a_negative_view_and_a_screening_mix_by_each_route"
_COST = "test_study_cost.py::test_cost_of_a_study_by_stage"
_RESULTS = "test_results.py::test_all_results_of_a_study"
_PREPROCESSING = "test_preprocessing.py::test_preprocessing_of_a_study"
_DCMSEND = "test_receive.py::test_the_receiver_keeps_up_with_others_from_dcmsend"
_RAW = "test_receive.py::test_the_receiver_keeps_up_with_others_from_raw_senders"
_QUESTIONS = "test_many_studies.py::test_no_question_takes_as_long_as_reading_every_study"
_LIMITS = "test_receive_limits.py"
_WORKERS = "test_workers.py::test_throughput_grows_with_the_number_of_workers"
_AHEAD = "test_workers.py::test_reading_ahead_keeps_the_device_busier"
_PICTURES = "test_pictures.py::test_the_second_visit_of_a_study_draws_nothing"
THROUGHPUT = "test_throughput.py::test_throughput_of_a_node_with_one_worker"
LATENCY = "test_latency.py::test_latency_of_a_study_by_stage"

SHOWN: Mapping[str, tuple[str, str]] = {
    "a positive view by torch, speed relative to the plain network": (_FORWARD, "torch, as fast as plain"),
    "the same by OpenVINO": (_FORWARD, "openvino, as fast as plain"),
    "the same by OpenVINO and ncnn": (_FORWARD, "ncnn, as fast as plain"),
    "the same by torch in bfloat16": (_FORWARD, "torch, bfloat16, as fast as plain"),
    "the same by OpenVINO in bfloat16": (_FORWARD, "openvino, bfloat16, as fast as plain"),
    "a negative view by torch": (_MIX, "torch, a negative view, as fast as plain"),
    "a negative view by OpenVINO": (_MIX, "openvino, a negative view, as fast as plain"),
    "95 % negative views by OpenVINO and ncnn": (_MIX, "ncnn, 95 % negatives, as fast as plain"),
    "preprocessing with the checks, share of a forward pass by torch": (
        _PREPROCESSING,
        "with guard, of a forward pass by torch",
    ),
    "CPU of a study outside the network, default results": (
        _COST,
        "default results, all stages but the network",
    ),
    "the same with all kinds of results": (_COST, "all kinds of result, all stages but the network"),
    "the PDF in it": (_COST, "all kinds of result: encapsulated_pdf"),
    "all kinds of results, share of the forward passes by torch": (_RESULTS, "all ten, of the forward passes by torch"),
    "memory for results, in views": (_RESULTS, "memory"),
    "the receiver with dcmsend in memory, speed relative to storescp": (
        f"{_DCMSEND}[in memory]",
        "as fast as storescp",
    ),
    "the same relative to Orthanc": (f"{_DCMSEND}[in memory]", "as fast as Orthanc"),
    "the receiver with dcmsend on the disk, speed relative to storescp": (
        f"{_DCMSEND}[on the disk]",
        "as fast as storescp",
    ),
    "the same relative to Orthanc, on the disk": (f"{_DCMSEND}[on the disk]", "as fast as Orthanc"),
    "eight raw senders on the disk, share of what it synchronises": (
        f"{_RAW}[on the disk-8]",
        "of what is synchronised here at most",
    ),
    "eight raw senders in memory, speed relative to storescp with a process for each": (
        f"{_RAW}[in memory-8]",
        "as fast as storescp +B -pdu 131072 --fork",
    ),
    "the receiver with one raw sender in memory, speed relative to pynetdicom": (
        f"{_RAW}[in memory-1]",
        "as fast as pynetdicom",
    ),
    "the same with eight": (f"{_RAW}[in memory-8]", "as fast as pynetdicom"),
    "CPU of the receiver": (f"{_LIMITS}::test_cpu_per_megabyte", "CPU"),
    "CPU of the receiver relative to storescp": (
        f"{_LIMITS}::test_cpu_per_megabyte",
        "of the CPU of storescp +B -pdu 131072",
    ),
    "all metrics with 100,000 studies on SQLite": (f"{_QUESTIONS}[sqlite]", "all metrics"),
    "the same on PostgreSQL": (f"{_QUESTIONS}[postgresql]", "all metrics"),
    "later visits of a study's page, speed relative to the first": (_PICTURES, "later visits, as fast as the first"),
    "work of two workers, relative to one": (_WORKERS, "2 workers, of the throughput of one"),
    "work of four workers, relative to one": (_WORKERS, "4 workers, of the throughput of one"),
    "device in use with reading ahead": (_AHEAD, "overlap always, device in use"),
    "a node with one worker and the demonstration package": (THROUGHPUT, THIS_VERSION),
    "the same, speed relative to an earlier version": (THROUGHPUT, "this version, as fast as the earlier one"),
    "CPU of its worker": (THROUGHPUT, "this version, CPU of the worker"),
    "CPU of its receiver": (THROUGHPUT, "this version, CPU of the receiver"),
    "CPU of its sender": (THROUGHPUT, "this version, CPU of the sender"),
    "CPU of its dispatcher": (THROUGHPUT, "this version, CPU of the dispatcher"),
    "from the last image to the last result": (LATENCY, "last C-STORE to last result"),
}
"""Rows of the table: benchmark and name of a figure by what it is."""

_FACTS = ("date", "cores", "memory", "load average before", "largest load average", "torch", "openvino", "ncnn")


@dataclass(frozen=True, slots=True)
class KeptReport:
    """The figures of one machine."""

    name: str
    """Name of the file, without its ending."""
    machine: Mapping[str, str]
    note: str
    """The circumstances, in a sentence."""
    figures: Mapping[tuple[str, str], Mapping[str, Any]]
    """Figure by benchmark and name."""

    @classmethod
    def read(cls, path: Path) -> "KeptReport":
        """Read a report."""
        content = json.loads(path.read_text(encoding="utf-8"))
        figures = {(one["benchmark"], one["name"]): one for one in content["figures"]}
        return cls(path.stem, content["machine"], content.get("note", NONE), figures)


def kept_reports(directory: Path = REPORTS) -> list[KeptReport]:
    """Return the reports by their names."""
    return [KeptReport.read(path) for path in sorted(directory.glob("*.json"))]


def sizing() -> str:
    """Return docs/sizing.md with the tables of the reports."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(FIRST)
    _, _, after = rest.partition(LAST)
    return "".join([before, FIRST, *(f"{line}\n" for line in tables(kept_reports())), LAST, after])


def tables(reports: Sequence[KeptReport]) -> Iterator[str]:
    """Yield the lines of the list of machines and of the table of figures."""
    for number, report in enumerate(reports, start=1):
        facts = "; ".join(f"{name}: {report.machine[name]}" for name in _FACTS if report.machine.get(name))
        link = f"[report](benchmarks/{report.name}.json)"
        yield f"{number}. **{report.name}** ({link}): {report.machine['processor']}. {report.note}".rstrip()
        yield from [f"   {facts}."] if facts else []
    yield ""
    yield f"| figure | unit | {' | '.join(str(number) for number in range(1, len(reports) + 1))} |"
    yield f"|---|---|{'---|' * len(reports)}"
    for title, key in SHOWN.items():
        found = [report.figures.get(key) for report in reports]
        unit = next((one["unit"] for one in found if one), None)
        if unit is not None:
            yield f"| {title} | {unit} | {' | '.join(map(_shown, found))} |"


def _shown(figure: Mapping[str, Any] | None) -> str:
    """Return the median and the range of a figure; the range alone if no median is known."""
    if figure is None:
        return NONE
    least, median, largest = (None if figure[key] is None else f"{figure[key]:.3g}" for key in _PARTS)
    if least == largest:
        return str(least)
    span = f"{least} to {largest}"
    return span if median is None else f"{median} ({span})"


_PARTS = ("least", "median", "largest")
