"""Tests of `glam-node model` and `glam-node research golden`."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from glam_node.inference.card import ModelCard
from glam_node.inference.glam.network import Glam
from glam_node.inference.glam.package_golden import write_golden_case
from glam_node.inference.glam.weights import expected_tensors
from glam_node.inference.package import write_package
from tests.command_line import THRESHOLD, glam_node
from tests.packages import SEEDED_PACKAGE
from tests.unit.inference.glam.tiny_package import tiny_package
from tests.unit.research.golden.tiny_golden import TINY, write_golden


def test_the_package_that_ships_says_that_it_is_not_for_patients() -> None:
    told = glam_node("model", "show").stdout
    for words in ("not for patients", "synthetic", "For research use."):
        assert words in told


def test_the_card_of_the_package_that_ships_names_everything_one_must_know() -> None:
    told = " ".join(glam_node("model", "show").stdout.split())
    for item in ("origin", "licence", "training_data", "intended_use", "limitations", "vendors", "presentation"):
        assert f"{item} " in told
        assert f"{item} not stated" not in told
    assert "pixel_spacing_mm 0.04 to 0.3" in told
    for kind in ("benign", "malignant"):
        for item in ("image_score_threshold", "calibration slope", "reference score"):
            assert f"{kind} {item}" in told


def test_a_seeded_package_says_that_it_is_untrained() -> None:
    told = glam_node("model", "show", SEEDED_PACKAGE).stdout
    for words in ("UNTRAINED", "made from seed", "For research use."):
        assert words in told


@pytest.mark.features("glam-node model show")
def test_show_prints_json() -> None:
    told = json.loads(glam_node("model", "show", "--json", GLAM_NODE__INFERENCE__PREDICTOR=THRESHOLD).stdout)
    assert (told["architecture"], told["trained"]) == ("threshold", False)
    assert set(told["operating_points"]) == {"benign", "malignant"}


def test_show_has_the_operating_points_of_the_settings() -> None:
    result = glam_node(
        "model",
        "show",
        "--json",
        GLAM_NODE__INFERENCE__PREDICTOR=THRESHOLD,
        GLAM_NODE__INFERENCE__OPERATING_POINTS__BENIGN__MINIMUM_AREA_PX="77",
    )
    told = json.loads(result.stdout)
    assert told["operating_points"]["benign"]["minimum_area_px"] == 77


def test_time_prints_a_row_for_the_sizing_page(tmp_path: Path) -> None:
    small = ("--studies", "1", "--rows", "1664", "--columns", "1280")
    package = str(tiny_package(tmp_path).path)
    told = glam_node("model", "time", *small, GLAM_NODE__INFERENCE__PACKAGE=package).stdout
    titles, _, values = (row.strip("| ").split(" | ") for row in told.splitlines()[-3:])
    row = dict(zip(titles, values, strict=True))
    assert row["device"] == "cpu"
    assert row["views with findings"].endswith(" of 4")
    assert float(row["studies an hour"]) == pytest.approx(3600 / float(row["seconds a study"]), rel=0.2)
    timing = json.loads(glam_node("model", "time", "--json", *small, GLAM_NODE__INFERENCE__PACKAGE=package).stdout)
    assert len(timing["study_seconds"]) == 2
    assert timing["stage_seconds"].keys() >= {"read", "preprocess", "global", "write"}
    assert sum(timing["stage_seconds"].values()) == pytest.approx(timing["seconds"], rel=0.3)
    assert timing["studies_per_hour"] == pytest.approx(3600 / timing["seconds"])


def test_time_says_which_view_cannot_be_analysed() -> None:
    told = glam_node("model", "time", "--rows", "64", "--columns", "4000", "--studies", "1", expect=1).stderr
    assert "was not analysed" in told


def test_a_folder_that_is_not_a_package_is_refused(tmp_path: Path) -> None:
    told = glam_node("model", "show", expect=1, GLAM_NODE__INFERENCE__PACKAGE=str(tmp_path)).stderr
    assert "is not a model package" in told


@pytest.mark.features("glam-node model import")
def test_a_checkpoint_becomes_a_package_that_can_be_shown(tmp_path: Path) -> None:
    torch.save(Glam().state_dict(), tmp_path / "model.ckpt")
    told = glam_node("model", "import", tmp_path / "model.ckpt", "--out", tmp_path / "package").stdout
    assert f'inference.package = "{tmp_path / "package"}"' in told
    shown = glam_node("model", "show", GLAM_NODE__INFERENCE__PACKAGE=str(tmp_path / "package")).stdout
    assert "weights file, digest checked" in shown
    shutil.rmtree(tmp_path)


def test_show_prints_the_card_of_any_package(tmp_path: Path) -> None:
    card = ModelCard(licence="Apache-2.0", vendors=("Hologic", "GE"), pixel_spacing_mm=(0.05, 0.1))
    tiny_package(tmp_path, card=card)
    told = " ".join(glam_node("model", "show", tmp_path).stdout.split())
    assert "licence Apache-2.0 training_data not stated" in told
    assert "vendors Hologic, GE pixel_spacing_mm 0.05 to 0.1 presentation not stated" in told
    assert "benign image_score_threshold" in told


@pytest.mark.features("glam-node model verify")
def test_a_package_is_verified_with_the_largest_error_of_each_quantity(tmp_path: Path) -> None:
    write_golden_case(tiny_package(tmp_path))
    told = glam_node("model", "verify", tmp_path).stdout
    assert "local_saliency" in told
    assert told.splitlines()[-1].startswith("ok  all 7 quantities are within tolerance")


def test_a_package_that_computes_otherwise_fails_with_exit_code_1(tmp_path: Path) -> None:
    path = write_golden_case(tiny_package(tmp_path))
    with np.load(path) as archive:
        changed = {name: archive[name] + (1e-5 if name == "scores" else 0) for name in archive.files if name != "meta"}
        np.savez(path, meta=archive["meta"], **changed)
    told = glam_node("model", "verify", tmp_path, expect=1).stdout
    assert told.splitlines()[-1].startswith("FAIL  1 of 7 quantities")


def test_a_package_without_a_golden_case_fails_with_exit_code_1(tmp_path: Path) -> None:
    tiny_package(tmp_path)
    told = glam_node("model", "verify", tmp_path, expect=1).stdout
    assert "the package has no golden.npz" in told
    assert told.splitlines()[-1] == "FAIL  no quantity could be compared"


def test_a_package_with_another_digest_is_refused_in_words(tmp_path: Path) -> None:
    package = tiny_package(tmp_path)
    write_package(replace(package, weights_sha256="0" * 64))
    assert "have SHA-256" in glam_node("model", "verify", tmp_path, expect=1).stderr


def test_a_file_that_is_no_checkpoint_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "model.ckpt").write_bytes(b"no checkpoint")
    told = glam_node("model", "import", tmp_path / "model.ckpt", "--out", tmp_path / "package", expect=1).stderr
    assert told.startswith("Error: ")
    assert "model.ckpt" in told


def test_a_file_that_is_no_golden_file_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "golden.npz").write_bytes(b"no golden file")
    assert "is not a golden file" in glam_node("research", "golden", tmp_path / "golden.npz", expect=1).stderr


@pytest.mark.features("glam-node research golden")
def test_a_golden_file_is_recomputed_and_what_was_not_is_named(tmp_path: Path) -> None:
    black = hashlib.sha256(bytes(2 * 260 * 250)).hexdigest()
    golden = write_golden(
        tmp_path / "golden.npz",
        prep_cases=[TINY | {"input_sha256": black, "outcome": "crop_failed"}],
        # Compare only the given digits of each digest.
        tensor_sha256=dict.fromkeys(expected_tensors(), ""),
    )
    told = glam_node("research", "golden", golden).stdout
    assert "not computed: view L-CC" in told
    assert told.splitlines()[-1].startswith("ok  all ")


def test_a_golden_file_that_is_not_reproduced_fails_with_exit_code_1(tmp_path: Path) -> None:
    told = glam_node("research", "golden", write_golden(tmp_path / "golden.npz"), expect=1).stdout
    assert told.splitlines()[-1].startswith("FAIL  2 of ")
