"""Tests of the report: one well-formed file that loads nothing else and shows the measured values."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from glam_node.research.evaluation.evaluate_models import Evaluation, evaluate
from glam_node.research.evaluation.measure.analyse_views import silent
from glam_node.research.evaluation.report.files import write_metrics
from glam_node.research.evaluation.report.gallery import Exhibit, choose_picks, draw_gallery
from glam_node.research.evaluation.report.html_report import Heading, render_report
from glam_node.research.evaluation.report.svg import Chart, Series, draw
from tests.unit.research.evaluation.toys import ToyDataset, ToyModel

EVIL = '<script>alert("x")</script>'
TOYS = ToyDataset(range(20), name=EVIL, unreadable=("2-L-CC", "3-L-CC"))
MODELS = [ToyModel("sharp & <b>", 0.1, evidence=True), ToyModel("blind", 9.0)]
HEADING = Heading("Evaluation of toys", trained=False, facts=(("Package", EVIL),))


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """Return the evaluation of two models, with one unreadable image in each part."""
    return evaluate(TOYS, MODELS, resamples=50)


@pytest.fixture(scope="module")
def gallery(evaluation: Evaluation) -> list[Exhibit]:
    """Return the gallery with one exhibit of each sort."""
    return draw_gallery(TOYS, MODELS, evaluation, silent, each=1)


@pytest.fixture(scope="module")
def report(evaluation: Evaluation, gallery: list[Exhibit]) -> str:
    """Return the whole document."""
    return render_report(evaluation, HEADING, gallery)


class Elements(HTMLParser):
    """A parser that counts the elements of a document and raises if tags do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.counts: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - tags are enough
        """Count the element, and remember it if it must be closed."""
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag not in ("meta", "img"):
            self.opened.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:  # noqa: ARG002
        """Count an element that closes itself."""
        self.counts[tag] = self.counts.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        """Check that the last opened element is closed."""
        assert self.opened.pop() == tag


def test_the_document_is_well_formed_and_has_the_charts_tables_and_pictures(report: str) -> None:
    elements = Elements()
    elements.feed(report)
    assert elements.opened == []
    # Four charts per class, and a line per model in the legend of each class.
    assert elements.counts["svg"] == 2 * 4 + 2 * 2
    assert elements.counts["img"] == 2 * 3 * 3
    assert elements.counts["table"] == 1 + 2 * 4 + 2


def test_the_report_loads_and_runs_nothing(report: str) -> None:
    assert not re.search(r"<script|<link|@import|https?:|url\(", report)
    assert set(re.findall(r'src="([^,]*),', report)) == {"data:image/png;base64"}


def test_text_of_a_data_set_is_escaped(report: str) -> None:
    assert "&lt;script&gt;" in report
    assert "sharp &amp; &lt;b&gt;" in report


@pytest.mark.parametrize("words", ["Research use only", "UNTRAINED", "3-L-CC: The image is black everywhere."])
def test_the_report_states_its_warnings(report: str, words: str) -> None:
    assert words in report


def test_best_and_worst_are_those_of_the_first_model(evaluation: Evaluation) -> None:
    picks = {pick.heading: pick.view.image_id for pick in choose_picks(evaluation.models[1].rows, 1)}
    dice = {
        row.view.image_id: overlap.dice or 0.0
        for row in evaluation.models[1].rows
        if (overlap := list(row.classes.values())[1].overlap)
    }
    assert picks["malignant: best"] == max(dice, key=dice.__getitem__)
    assert picks["malignant: worst"] == min(dice, key=dice.__getitem__)
    assert int(picks["malignant: normal images with the highest scores"].split("-")[0]) % 2 == 1


def test_every_panel_is_a_picture_of_the_same_size(gallery: list[Exhibit]) -> None:
    for exhibit in gallery:
        pictures = [np.frombuffer(panel.png, np.uint8) for panel in exhibit.panels]
        assert len({np.asarray(cv2.imdecode(png, cv2.IMREAD_COLOR)).shape for png in pictures}) == 1
        assert len(exhibit.panels) == 1 + len(MODELS)


def test_the_metrics_are_json_with_measures_and_frozen_values(evaluation: Evaluation, tmp_path: Path) -> None:
    write_metrics(tmp_path / "metrics.json", evaluation, HEADING)
    document = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    first = document["models"][0]
    assert first["classes"]["benign"]["maps"]["dice"]["value"] == pytest.approx(1.0)
    assert first["frozen"]["benign"]["point"]["minimum_area_px"] >= 1
    assert first["frozen"]["malignant"]["platt"].keys() == {"slope", "intercept"}
    assert "Research use" in document["statement"]


def test_a_report_of_scores_alone_says_that_there_is_nothing_else(tmp_path: Path) -> None:
    scored = evaluate(ToyDataset(range(20), outlined=False), [ToyModel()], resamples=0)
    write_metrics(tmp_path / "metrics.json", scored, HEADING)
    assert "No validation image has an outlined" in render_report(scored, HEADING, [])


def test_a_line_ends_at_the_edge_of_its_diagram() -> None:
    svg = draw(Chart("t", "x", "y", [Series("a", [(0, 0.5), (1, 0.75), (9, 1)])], x_maximum=2))
    places = re.findall(r'<polyline points="([^"]*)"', svg)[0].split()
    assert [place.split(",")[0] for place in places] == ["46.0", "152.0", "258.0"]
    assert places[1].split(",")[1] == places[2].split(",")[1]
