"""Tests of predictions in the format that the NYU protocol's evaluation reads."""

from pathlib import Path

from glam_node.inference.mammogram import Laterality, ViewPosition
from glam_node.research.datasets.labelled import LabelledView
from glam_node.research.evaluation.report.files import write_breast_predictions, write_image_predictions

LEFT, RIGHT = Laterality.LEFT, Laterality.RIGHT
VIEWS = [
    LabelledView("0_L-CC", "0", LEFT, ViewPosition.CC, False, True),
    LabelledView("0_L-MLO", "0", LEFT, ViewPosition.MLO, False, True),
    LabelledView("0_R-CC", "0", RIGHT, ViewPosition.CC, True, False),
    LabelledView("10_R-CC", "10", RIGHT, ViewPosition.CC, False, False),
    LabelledView("9_R-CC", "9", RIGHT, ViewPosition.CC, False, False),
]
SCORES = {"0_L-CC": (0.25, 0.5), "0_L-MLO": (0.0, 1.0), "0_R-CC": (0.75, 0.125), "9_R-CC": (0.0, 0.0)}


def test_images_have_scores_and_the_labels_of_their_breast(tmp_path: Path) -> None:
    write_image_predictions(tmp_path / "images.csv", VIEWS, SCORES)
    assert (tmp_path / "images.csv").read_text().splitlines() == [
        "image_index,benign_pred,malignant_pred,benign_label,malignant_label",
        "0_L-CC,0.25,0.5,0,1",
        "0_L-MLO,0.0,1.0,0,1",
        "0_R-CC,0.75,0.125,1,0",
        "9_R-CC,0.0,0.0,0,0",
    ]


def test_a_breast_has_the_mean_score_of_its_views_or_an_empty_cell(tmp_path: Path) -> None:
    write_breast_predictions(tmp_path / "breasts.csv", VIEWS, SCORES | {"10_R-CC": (0.0, 0.5)})
    assert (tmp_path / "breasts.csv").read_text().splitlines() == [
        "index,left_malignant,right_malignant",
        "0,0.75,0.125",
        "9,,0.0",
        "10,,0.5",
    ]
