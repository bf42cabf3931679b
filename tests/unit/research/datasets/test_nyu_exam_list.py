"""Tests of exam lists as JSON and as plain pickles, which have the same structure."""

import json
import pickle
from pathlib import Path

import pytest

from glam_node.inference.findings import FindingKind
from glam_node.inference.mammogram import Laterality, ViewPosition
from glam_node.research.datasets.nyu_exam_list import NyuExam, read_exam_list, write_exam_list
from glam_node.research.datasets.problems import DatasetError

LEFT_CC = (Laterality.LEFT, ViewPosition.CC)
RIGHT_MLO = (Laterality.RIGHT, ViewPosition.MLO)
EXAM: dict[str, object] = {
    "horizontal_flip": "NO",
    "L-CC": ["0_L_CC"],
    "R-CC": [],
    "R-MLO": ["0_R_MLO", "0_R_MLO_2"],
    "L-CC_malignant_seg": ["0_L_CC_malignant"],
    "cancer_label": {"left_malignant": 1, "right_malignant": 0, "left_benign": 0, "right_benign": 1, "malignant": 1},
}


def written(folder: Path, *exams: object) -> Path:
    path = folder / "exams.json"
    path.write_text(json.dumps(list(exams)))
    return path


def test_an_exam_is_read_with_images_masks_and_findings(tmp_path: Path) -> None:
    assert read_exam_list(written(tmp_path, EXAM)) == [
        NyuExam(
            images={LEFT_CC: ("0_L_CC",), RIGHT_MLO: ("0_R_MLO", "0_R_MLO_2")},
            horizontal_flip=False,
            findings=frozenset({(Laterality.LEFT, FindingKind.MALIGNANT), (Laterality.RIGHT, FindingKind.BENIGN)}),
            masks={(*LEFT_CC, FindingKind.MALIGNANT): ("0_L_CC_malignant",)},
        )
    ]


def test_a_pickle_and_json_give_the_same_exams(tmp_path: Path) -> None:
    (tmp_path / "exams.pkl").write_bytes(pickle.dumps([EXAM], protocol=4))
    assert read_exam_list(tmp_path / "exams.pkl") == read_exam_list(written(tmp_path, EXAM))


@pytest.mark.parametrize("changes", [{}, {"horizontal_flip": "YES"}, {"cancer_label": {"unknown": 1}}])
def test_a_written_exam_list_can_be_read(tmp_path: Path, changes: dict[str, object]) -> None:
    exams = read_exam_list(written(tmp_path, EXAM | changes, EXAM))
    write_exam_list(tmp_path / "again.json", exams)
    assert read_exam_list(tmp_path / "again.json") == exams


def test_a_written_exam_list_has_the_keys_of_the_protocol(tmp_path: Path) -> None:
    write_exam_list(tmp_path / "again.json", read_exam_list(written(tmp_path, EXAM)))
    (exam,) = json.loads((tmp_path / "again.json").read_text())
    assert exam.items() >= {"L-CC": ["0_L_CC"], "R-CC": [], "horizontal_flip": "NO"}.items()
    assert exam["cancer_label"] == {"left_benign": 0, "left_malignant": 1, "right_benign": 1, "right_malignant": 0}


@pytest.mark.parametrize(
    ("changes", "column"),
    [
        ({"horizontal_flip": "maybe"}, "horizontal_flip"),
        ({"L-CC": "0_L_CC"}, "L-CC"),
        ({"L-CC": ["../../etc/passwd"]}, "L-CC"),
        ({"L-CC": ["/etc/passwd"]}, "L-CC"),
        ({"L-CC_benign_seg": [1]}, "L-CC_benign_seg"),
        ({"cancer_label": [0, 1]}, "cancer_label"),
        ({"cancer_label": {"left_malignant": 2, "right_malignant": 0}}, "cancer_label, left_malignant"),
        ({"cancer_label": {"left_malignant": 1}}, "cancer_label, right_malignant"),
    ],
)
def test_a_bad_exam_is_named_by_number_and_key(tmp_path: Path, changes: dict[str, object], column: str) -> None:
    with pytest.raises(DatasetError) as caught:
        read_exam_list(written(tmp_path, EXAM, EXAM | changes))
    assert [(problem.row, problem.column) for problem in caught.value.problems] == [(2, column)]


@pytest.mark.parametrize("text", ["{}", "[1]", '["exam"]', "[", "no list"])
def test_a_file_that_is_not_an_exam_list_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "exams.json").write_text(text)
    with pytest.raises(DatasetError):
        read_exam_list(tmp_path / "exams.json")


def test_a_missing_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="No such file"):
        read_exam_list(tmp_path / "exams.json")
