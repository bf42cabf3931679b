"""Tests of `glam-node demo --fast`."""

import os
import shlex
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pydicom
import pytest
from PIL import Image

from glam_node.node.demo.node_process import STOP_S, DemoNode, free_port, running_node
from glam_node.node.errors import PermanentError
from tests.command_line import glam_node
from tests.waiting import wait_until


def processes_of(folder: Path) -> list[str]:
    """Return the processes that still run for the demo in this folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        words = [*(process.info["cmdline"] or []), *(process.info["environ"] or {}).values()]
        if any(str(folder) in word for word in words):
            found.append(" ".join(process.info["cmdline"] or []))
    return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run a demo in a folder whose name must be quoted in shells and URLs; return the folder and the output."""
    folder = tmp_path_factory.mktemp("demo") / 'a "b" #1[]?%20'
    return folder, glam_node("demo", "--fast", "--out", folder).stdout


@pytest.mark.features("glam-node demo")
def test_segmentations_and_a_report_arrive_in_the_archive(demo: tuple[Path, str]) -> None:
    modalities = [pydicom.dcmread(path).Modality for path in (demo[0] / "archive").glob("*.dcm")]
    assert sorted(modalities) == ["SEG", "SEG", "SEG", "SEG", "SR"]


def test_one_picture_per_view_is_drawn(demo: tuple[Path, str]) -> None:
    pictures = sorted((demo[0] / "pictures").iterdir())
    assert [path.name for path in pictures] == ["L-CC.png", "L-MLO.png", "R-CC.png", "R-MLO.png"]
    with Image.open(pictures[0]) as picture:
        assert min(picture.size) > 100


def test_demo_ends_with_scores_times_and_next_commands(demo: tuple[Path, str]) -> None:
    for words in ("REPORTED", "UNTRAINED", "For research use", "R MLO", "last C-STORE to last result", "What next"):
        assert words in demo[1]


def test_the_last_step_says_how_many_results_the_archive_stored(demo: tuple[Path, str]) -> None:
    assert "ok  the archive stored 5 results" in demo[1]
    assert "0 of 5" not in demo[1]


def test_the_next_commands_can_be_pasted_into_a_shell(demo: tuple[Path, str]) -> None:
    (line,) = [line for line in demo[1].splitlines() if " study show UID " in line]
    words = shlex.split(line)
    assert Path(words[words.index("--settings") + 1]).resolve() == demo[0] / "node.toml"


def test_demo_prints_no_patient_data(demo: tuple[Path, str]) -> None:
    assert "PHANTOM" not in demo[1].upper().replace("A PHANTOM EXAM", "")
    assert "PHANTOM^" not in (demo[0] / "node.log").read_text()


def test_demo_leaves_no_process(demo: tuple[Path, str]) -> None:
    assert processes_of(demo[0]) == []


def test_the_node_of_the_demo_answers_later_commands(demo: tuple[Path, str]) -> None:
    assert "REPORTED" in glam_node("--settings", demo[0] / "node.toml", "study", "list").stdout


def test_a_folder_that_no_demo_wrote_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text("mine")
    assert "is not empty" in glam_node("demo", "--fast", "--out", tmp_path, expect=1).stderr
    assert (tmp_path / "node.toml").read_text() == "mine"


def test_an_input_that_the_demo_would_clear_is_refused(demo: tuple[Path, str]) -> None:
    refused = glam_node("demo", "--fast", "--input", demo[0] / "archive", "--out", demo[0], expect=1)
    assert "which every demo clears" in refused.stderr
    assert list((demo[0] / "archive").iterdir())


def test_an_input_without_dicom_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    told = glam_node("demo", "--fast", "--input", tmp_path / "empty", "--out", tmp_path / "demo", expect=1)
    assert "There is no DICOM file" in told.stderr


def test_a_node_that_does_not_start_is_an_error_with_its_log(tmp_path: Path) -> None:
    node = DemoNode(free_port(), tmp_path / "node.toml", tmp_path / "node.log")
    node.settings_path.write_text("node.prt = 5")
    with pytest.raises(PermanentError, match=r"did you mean node\.port\?.*node\.log"), running_node(node):
        pytest.fail("it runs")


def test_demo_can_be_repeated_with_other_files(demo: tuple[Path, str], tmp_path: Path) -> None:
    first = {path.name for path in (demo[0] / "archive").glob("*.dcm")}
    glam_node("phantom", "--out", tmp_path / "mine", "--rows", "128", "--columns", "96")
    (tmp_path / "mine" / "note.txt").write_text("no image")
    told = glam_node("demo", "--fast", "--input", tmp_path / "mine", "--out", demo[0]).stdout
    assert "note.txt" in told
    second = {path.name for path in (demo[0] / "archive").glob("*.dcm")}
    assert len(second) == 5
    assert not first & second


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill"])
def test_no_process_outlives_the_demo(number: signal.Signals, tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GLAM_NODE")}
    command = [sys.executable, "-m", "glam_node", "demo", "--fast", "--out", str(tmp_path / "demo")]
    # If a shell runs the tests in the background, they inherit that SIGINT is ignored.
    with_ctrl_c = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(
        command, env=clean, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=with_ctrl_c
    )
    wait_until_node_works(tmp_path / "demo" / "node.log")
    process.send_signal(number)
    assert process.wait(30) != 0
    # A process that is importing modules handles the signal afterwards.
    wait_until(lambda: processes_of(tmp_path) == [], STOP_S, told=lambda: processes_of(tmp_path))


def wait_until_node_works(log_path: Path) -> None:
    """Wait until the node has started its processes."""
    wait_until(lambda: log_path.exists() and "upgrade" in log_path.read_text())
    time.sleep(1)
