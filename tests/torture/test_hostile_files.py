"""Damaged files in every transfer syntax: a worker reads or refuses them, and nothing else happens."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from glam_node.inference.phantom import VIEWS, make_view
from tests.peers import PEERS
from tests.torture.rig import chosen_seed, is_full_length

pytestmark = [pytest.mark.peer("dcmtk"), pytest.mark.timeout(3600)]

CASES = 30_000 if is_full_length() else 1_000
PROCESSES = 2
SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian)
COMPRESSED = (JPEG2000Lossless, JPEGLSLossless, RLELossless)
BY_DCMTK = {"lossless-1": "+e1", "lossless": "+el", "extended": "+ee"}


def write_originals(directory: Path) -> None:
    """Write one small view in nine transfer syntaxes, each of which can be read."""
    directory.mkdir()
    for syntax in (*SYNTAXES, *COMPRESSED):
        dataset = make_view(1, *VIEWS[0], rows=64, columns=48).dataset
        if syntax in COMPRESSED:
            dataset.compress(syntax)
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(directory / f"{syntax}.dcm", enforce_file_format=True)
    program = PEERS["dcmtk"].program.with_name("dcmcjpeg")
    for name, option in BY_DCMTK.items():
        explicit, made = directory / f"{ExplicitVRLittleEndian}.dcm", directory / f"{name}.dcm"
        subprocess.run([program, option, explicit, made], check=True, capture_output=True)


def started(originals: Path, last_seed: Path, first: int, count: int) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "tests.torture.reader", originals, last_seed, first, count]
    return subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def told(process: subprocess.Popen[str], last_seed: Path) -> dict[str, Any]:
    """Return the report of a reader, which must not have crashed."""
    said, complaint = process.communicate(timeout=3000)
    seed = last_seed.read_text() if last_seed.exists() else "none"
    assert process.returncode == 0, f"seed {seed}: ended with {process.returncode}: {complaint[-2000:]}"
    report: dict[str, Any] = json.loads(said)
    return report


def test_every_file_is_read_or_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_originals(tmp_path / "originals")
    seed, share = chosen_seed() * CASES, CASES // PROCESSES
    marks = [tmp_path / f"reader-{number}.seed" for number in range(PROCESSES)]
    readers = [started(tmp_path / "originals", mark, seed + share * number, share) for number, mark in enumerate(marks)]
    reports = [told(reader, mark) for reader, mark in zip(readers, marks, strict=True)]
    with capsys.disabled():
        outcomes = [report["outcomes"] for report in reports]
        print(f"\n== hostile files, seed {seed}: {outcomes}, slowest {max(one['slowest_s'] for one in reports):.1f} s")
    assert [case for report in reports for case in report["unexpected"]] == []
    assert all(report["outcomes"].get("read") and report["outcomes"].get("refused") for report in reports)
