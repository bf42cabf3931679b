"""The units that ship are what systemd takes, and are hardened."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.command_line import glam_node
from tests.peers import PEERS

UNITS = sorted((Path(__file__).resolve().parents[3] / "deploy" / "systemd").glob("*.service"))
# Of 100; 96 is what a unit without any hardening has.
HIGHEST_EXPOSURE = 25

pytestmark = pytest.mark.peer("systemd-analyze")


def analysed(unit: Path, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What systemd says of the unit, with a program that is on this machine in the place of ours."""
    copy = directory / unit.name
    copy.write_text(unit.read_text().replace("/opt/glam-node/bin/glam-node", "/bin/true"))
    command = [str(PEERS["systemd-analyze"].program), *arguments, f"./{copy.name}"]
    return subprocess.run(command, capture_output=True, text=True, cwd=directory, timeout=60, check=False)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_finds_no_fault(unit: Path, tmp_path: Path) -> None:
    verified = analysed(unit, tmp_path, "verify", "--man=no")
    assert (verified.returncode, verified.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_little_is_exposed(unit: Path, tmp_path: Path) -> None:
    judged = analysed(unit, tmp_path, "security", "--offline=yes", f"--threshold={HIGHEST_EXPOSURE}")
    assert judged.returncode == 0, judged.stdout


def test_systemd_would_find_a_misspelled_setting(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong" / UNITS[0].name
    wrong.parent.mkdir()
    wrong.write_text(UNITS[0].read_text().replace("RestartSec=", "RestartSecs="))
    assert "RestartSecs" in analysed(wrong, tmp_path, "verify", "--man=no").stderr


def test_there_is_a_unit_for_a_node_and_one_for_workers() -> None:
    assert [unit.name for unit in UNITS] == ["glam-node-worker@.service", "glam-node.service"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_starts_a_command_that_there_is(unit: Path) -> None:
    (started,) = re.findall(r"^ExecStart=/opt/glam-node/bin/glam-node (.*)", unit.read_text(), re.MULTILINE)
    glam_node(*started.split(), "--help")
