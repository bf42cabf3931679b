"""Tests that findings survive being written to a file and read again."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glam_node.inference.errors import InferenceError
from glam_node.inference.findings import (
    AlgorithmIdentification,
    Finding,
    FindingKind,
    Findings,
    ImageFindings,
    SaliencyMap,
)
from glam_node.inference.findings_file import encode_findings, read_findings
from glam_node.inference.mammogram import Laterality, ViewPosition


def finding(kind: FindingKind, height: int, width: int) -> Finding:
    mask = np.random.default_rng(height).random((height, width)) > 0.5
    return Finding(kind=kind, score=0.1 + 0.2, origin=(3, 7), mask=mask)


def saliency(height: int, width: int) -> SaliencyMap:
    values = np.random.default_rng(height).integers(0, 255, (2, height, width), dtype=np.uint8)
    return SaliencyMap(values, 16, (-3, 5), (0, 5, 100, 70))


def study() -> Findings:
    found = ImageFindings(
        sop_instance_uid="1.2.3",
        image_laterality=Laterality.LEFT,
        view_position=ViewPosition.MLO,
        shape=(100, 80),
        benign_score=1 / 3,
        malignant_score=0.0,
        findings=(finding(FindingKind.BENIGN, 5, 7), finding(FindingKind.MALIGNANT, 1, 1)),
        remarks=("Orientation doubtful, Größe unklar",),
        saliency=saliency(7, 5),
    )
    failed = ImageFindings("1.2.4", Laterality.RIGHT, ViewPosition.CC, (10, 10), None, None, failure="Black.")
    return Findings(
        study_instance_uid="1.2",
        algorithm=AlgorithmIdentification("GLAM", "1.0", "ab" * 32, False, (("threshold", "0.5"),)),
        images=(
            found,
            failed,
            replace(found, findings=(finding(FindingKind.BENIGN, 30, 11),), saliency=saliency(2, 9)),
        ),
        stage_seconds=(("decode", 0.25), ("forward", 1.5)),
    )


def plain(findings: Findings) -> dict[str, Any]:
    """Return all parts of the findings as values that can be compared."""
    values = asdict(findings)
    for image in values["images"]:
        for item in image["findings"]:
            item["mask"] = item["mask"].tolist()
        if image["saliency"]:
            image["saliency"]["values"] = image["saliency"]["values"].tolist()
    return values


def test_findings_survive_exactly(tmp_path: Path) -> None:
    (tmp_path / "findings.npz").write_bytes(encode_findings(study()))
    assert plain(read_findings(tmp_path / "findings.npz")) == plain(study())


def test_a_study_without_findings_survives(tmp_path: Path) -> None:
    empty = replace(study(), images=())
    (tmp_path / "findings").write_bytes(encode_findings(empty))
    assert plain(read_findings(tmp_path / "findings")) == plain(empty)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "findings.npz"
    path.write_bytes(encode_findings(study()))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InferenceError, match="not a readable findings file"):
        read_findings(path)


def test_a_file_of_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glam_node.inference.findings_file.FORMAT_VERSION", 2)
    (tmp_path / "findings.npz").write_bytes(encode_findings(study()))
    monkeypatch.undo()
    with pytest.raises(InferenceError, match="format 2"):
        read_findings(tmp_path / "findings.npz")


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "findings.npy", np.array([object()]), allow_pickle=True)
    with pytest.raises(InferenceError):
        read_findings(tmp_path / "findings.npy")


def test_a_missing_file_raises_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_findings(tmp_path / "none")
