"""Predictions in the CSV formats of the NYU protocol's evaluation, per image and per breast."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from glam_node.inference.datasets.labelled import LabelledView
from glam_node.inference.mammogram import Laterality

IMAGE_COLUMNS = ("image_index", "benign_pred", "malignant_pred", "benign_label", "malignant_label")
BREAST_COLUMNS = ("index", "left_malignant", "right_malignant")

Scores = Mapping[str, tuple[float, float]]
"""Benign and malignant score of each image, by image_id."""


def write_image_predictions(path: Path, views: Sequence[LabelledView], scores: Scores) -> None:
    """Write one row per view that has scores: its id, the scores, and the labels of its breast."""
    _write(
        path,
        IMAGE_COLUMNS,
        ((view.image_id, *scores[view.image_id], *map(int, view.labels)) for view in views if view.image_id in scores),
    )


def write_breast_predictions(path: Path, views: Sequence[LabelledView], scores: Scores) -> None:
    """Write one row per study: the mean malignant score of each breast's views, empty for a breast without scores."""
    malignant: dict[str, dict[Laterality, list[float]]] = {}
    for view in views:
        if view.image_id in scores:
            of_study = malignant.setdefault(view.study_id, {side: [] for side in Laterality})
            of_study[view.image_laterality].append(scores[view.image_id][1])
    _write(
        path,
        BREAST_COLUMNS,
        (
            (study_id, _mean(of_study[Laterality.LEFT]), _mean(of_study[Laterality.RIGHT]))
            for study_id, of_study in sorted(malignant.items(), key=lambda item: (len(item[0]), item[0]))
        ),
    )


def _mean(scores: Sequence[float]) -> float | str:
    return fmean(scores) if scores else ""


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
