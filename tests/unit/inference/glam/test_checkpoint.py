"""Tests that published checkpoints become packages, and that other files are refused with the reason."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from glam_node.inference.errors import PackageMismatch
from glam_node.inference.glam.checkpoint import convert_checkpoint, read_checkpoint
from glam_node.inference.glam.package_verification import PUBLISHED_SCORES, published_table, verify_package
from glam_node.inference.glam.weights import StateDict, load_network
from glam_node.inference.package import ModelPackage, read_package

LEFTOVERS = (
    "mil.mil_attn_V.weight",
    "mil.mil_attn_U.weight",
    "mil.mil_attn_w.weight",
    "mil.classifier_linear.weight",
    "fusion_dnn.weight",
    "fusion_dnn.bias",
    "shared_rep_filter.weight",
)
STEM = "global_network.downsampling_branch.first_conv.weight"


class Payload:
    """A pickle that would run a command."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch executed",)


@pytest.fixture(scope="module")
def published(state: StateDict) -> StateDict:
    return state | {name: torch.ones(2, 2) for name in LEFTOVERS}


@pytest.fixture(scope="module")
def joint(published: StateDict, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelPackage]:
    """Yield the package of a published checkpoint, which no test may change."""
    folder = tmp_path_factory.mktemp("joint")
    torch.save(published, folder / "model_joint.ckpt")
    yield convert_checkpoint(folder / "model_joint.ckpt", folder / "package")
    shutil.rmtree(folder)


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """Yield the path for a checkpoint; its 96 MB are removed after the test."""
    yield tmp_path / "model_joint.ckpt"
    shutil.rmtree(tmp_path)


def test_a_published_checkpoint_becomes_a_package_with_the_same_tensors(joint: ModelPackage, state: StateDict) -> None:
    loaded = load_network(read_package(joint.path)).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in state.items())
    assert loaded.keys() == state.keys()


def test_the_weights_file_holds_nothing_but_the_network(joint: ModelPackage) -> None:
    assert len(load_file(joint.weights_path)) == 352


def test_a_package_names_the_checkpoint_it_came_from(joint: ModelPackage) -> None:
    digest = joint.parameters["checkpoint_sha256"]
    assert joint.trained
    assert joint.parameters["calibration"].startswith("none")
    assert joint.algorithm_version == f"model_joint {digest[:8]}"


def test_a_package_of_a_published_checkpoint_is_verified_and_names_its_origin(joint: ModelPackage) -> None:
    assert published_table(joint) == PUBLISHED_SCORES["model_joint"]
    assert "nyukat/GLAM" in joint.card.origin
    assert "non-commercial research" in joint.card.licence
    assert verify_package(joint.path).passed


def test_the_other_published_checkpoint_has_its_own_scores(state: StateDict, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "model_sep.ckpt")
    package = convert_checkpoint(tmp_path / "model_sep.ckpt", tmp_path / "package")
    assert published_table(package) == PUBLISHED_SCORES["model_sep"] != PUBLISHED_SCORES["model_joint"]
    shutil.rmtree(tmp_path)


def test_a_checkpoint_with_another_name_does_not_count_as_published(state: StateDict, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "mine.ckpt")
    package = convert_checkpoint(tmp_path / "mine.ckpt", tmp_path / "package")
    assert published_table(package) == ()
    assert package.card.origin == "Imported from mine.ckpt."
    assert package.card.licence == ""
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("key", ["model", "state_dict"])
def test_a_state_dict_may_lie_one_level_down(state: StateDict, path: Path, key: str) -> None:
    torch.save({"epoch": 3, key: state}, path)
    assert torch.equal(read_checkpoint(path)[STEM], state[STEM])


def test_counters_may_be_missing(state: StateDict, path: Path) -> None:
    torch.save({name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}, path)
    assert read_checkpoint(path).keys() == state.keys()


def test_a_missing_tensor_is_named(state: StateDict, path: Path) -> None:
    torch.save({name: tensor for name, tensor in state.items() if name != STEM}, path)
    with pytest.raises(PackageMismatch, match=rf"1 tensors missing \({STEM}\)"):
        read_checkpoint(path)


def test_an_unknown_tensor_is_named(state: StateDict, path: Path) -> None:
    torch.save(state | {"classifier.weight": torch.ones(1)}, path)
    with pytest.raises(PackageMismatch, match=r"1 unknown tensors \(classifier\.weight\)"):
        read_checkpoint(path)


def test_a_tensor_of_another_shape_is_named_with_both_shapes(state: StateDict, path: Path) -> None:
    torch.save(state | {STEM: torch.ones(16, 3, 7, 7)}, path)
    with pytest.raises(PackageMismatch, match="is 16x3x7x7 float32, must be 16x1x7x7 float32"):
        read_checkpoint(path)


def test_a_tensor_that_is_not_finite_is_refused(state: StateDict, path: Path) -> None:
    torch.save(state | {STEM: torch.full((16, 1, 7, 7), torch.nan)}, path)
    with pytest.raises(PackageMismatch, match="not finite"):
        read_checkpoint(path)


def test_a_truncated_file_is_refused(state: StateDict, path: Path) -> None:
    torch.save(state, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(PackageMismatch, match="loaded safely"):
        read_checkpoint(path)


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({STEM: Payload()}, path)
    with pytest.raises(PackageMismatch, match="could run code"):
        read_checkpoint(path)
    assert not Path("executed").exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint"])
def test_any_other_file_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(PackageMismatch):
        read_checkpoint(path)


def test_a_missing_file_is_refused(path: Path) -> None:
    with pytest.raises(PackageMismatch, match="No such file"):
        read_checkpoint(path)


@pytest.mark.parametrize("loaded", [[1, 2], {"model": {"a": 1}}, {}])
def test_a_file_without_tensors_is_refused(path: Path, loaded: object) -> None:
    torch.save(loaded, path)
    with pytest.raises(PackageMismatch):
        read_checkpoint(path)


def test_weights_that_were_changed_after_conversion_are_refused(state: StateDict, path: Path, tmp_path: Path) -> None:
    torch.save(state, path)
    package = convert_checkpoint(path, tmp_path / "package")
    weights = bytearray(package.weights_path.read_bytes())
    weights[-1] ^= 1
    package.weights_path.write_bytes(weights)
    with pytest.raises(PackageMismatch, match="SHA-256"):
        read_package(package.path)
