"""Tests of the progress bars of `train` and `evaluate`, which appear only on a terminal."""

import os
import pty
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from glam_node.inference.threshold import threshold_package
from glam_node.node.cli.main import app
from glam_node.node.cli.progress import progress_bars
from tests.command_line import glam_node
from tests.unit.cli.toy_recipe import TOY

EVALUATE = ("--data", "phantoms:0:8", "--option", "rows=104", "--option", "columns=80", "--bootstrap", "0")
BAR = "━"


@contextmanager
def terminal() -> Iterator[list[str]]:
    """Make standard error a terminal of 200 columns; the yielded list holds its output afterwards."""
    keyboard, screen = pty.openpty()
    told: list[str] = []

    def read() -> None:
        # Reading fails when the other end is closed.
        with suppress(OSError):
            while piece := os.read(keyboard, 65536):
                told.append(piece.decode(errors="replace"))

    reader = threading.Thread(target=read)
    reader.start()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("NO_COLOR", "TTY_INTERACTIVE", "TTY_COMPATIBLE", "FORCE_COLOR"):
            patch.delenv(name, raising=False)
        patch.setenv("TERM", "xterm")
        patch.setenv("COLUMNS", "200")
        with os.fdopen(screen, "w", encoding="utf-8") as stderr:
            patch.setattr(sys, "stderr", stderr)
            yield told
    reader.join()
    os.close(keyboard)


def shown_by(*command: str | Path) -> str:
    """Return the output of the command on a terminal."""
    with terminal() as told:
        app([str(word) for word in command], standalone_mode=False)
    return "".join(told)


def test_evaluation_shows_a_bar_for_each_step(tmp_path: Path) -> None:
    package = threshold_package(tmp_path / "package").path
    told = shown_by("research", "evaluate", "--package", package, *EVALUATE, "--out", tmp_path / "out")
    assert BAR in told
    assert "Threshold: choosing thresholds" in told
    assert "Threshold: measuring" in told


def test_training_shows_the_loss_and_steps_of_a_stage(tmp_path: Path) -> None:
    (tmp_path / "toy.toml").write_text(TOY)
    told = shown_by("research", "train", tmp_path / "toy.toml", "--out", tmp_path / "out", "--workers", "0")
    assert BAR in told
    assert "preparing phantoms" in told
    assert "global stage, loss" in told
    assert "1/1" in told


def test_evaluation_shows_no_bar_in_a_pipe(tmp_path: Path) -> None:
    package = threshold_package(tmp_path / "package").path
    assert glam_node("research", "evaluate", "--package", package, *EVALUATE, "--out", tmp_path / "out").stderr == ""


def test_training_prints_plain_lines_in_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "toy.toml").write_text(TOY)
    told = glam_node("research", "train", tmp_path / "toy.toml", "--out", tmp_path / "out", "--workers", "0").stderr
    assert [line.split(",")[0] for line in told.splitlines()] == ["step 1: global stage"]
    assert told.replace("\n", "").isprintable()


def test_labels_with_one_name_share_a_bar() -> None:
    with terminal() as told, progress_bars(lambda doing: doing.split(",")[0]) as tell:
        tell("global stage, loss 0.9", 1, 2)
        tell("global stage, loss 0.5", 2, 2)
        tell("local stage, loss 0.7", 1, 4)
    first, second = [line for line in "".join(told).splitlines() if BAR in line][-2:]
    assert "loss 0.5" in first
    assert "2/2" in first
    assert "loss 0.7" in second
    assert "1/4" in second
