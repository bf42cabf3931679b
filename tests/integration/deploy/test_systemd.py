"""Tests that systemd accepts the shipped units and that they are hardened."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import glam_node
from tests.peers import PEERS

UNITS = sorted((Path(__file__).resolve().parents[3] / "deploy" / "systemd").glob("*.service"))
# Of 100; a unit without any hardening has 96.
HIGHEST_EXPOSURE = 25
DROP_IN = UNITS[0].with_name("port-below-1024.conf")

pytestmark = pytest.mark.peer("systemd-analyze")


def analysed(unit: Path, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Return systemd's analysis of the unit, with an existing program in place of glam-node."""
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


def test_a_node_and_workers_have_systemd_units() -> None:
    assert [unit.name for unit in UNITS] == ["glam-node-worker@.service", "glam-node.service"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_starts_a_command_that_there_is(unit: Path) -> None:
    (started,) = re.findall(r"^ExecStart=/opt/glam-node/bin/glam-node (.*)", unit.read_text(), re.MULTILINE)
    glam_node(*started.split(), "--help")


def test_the_drop_in_for_port_104_exposes_little_more(tmp_path: Path) -> None:
    (unit,) = [unit for unit in UNITS if unit.name == "glam-node.service"]
    with_drop_in = tmp_path / "both" / unit.name
    with_drop_in.parent.mkdir()
    with_drop_in.write_text(f"{unit.read_text()}\n{DROP_IN.read_text()}")
    assert analysed(with_drop_in, tmp_path, "verify", "--man=no").stderr == ""
    judged = analysed(with_drop_in, tmp_path, "security", "--offline=yes", f"--threshold={HIGHEST_EXPOSURE}")
    assert judged.returncode == 0, judged.stdout


def test_a_node_that_may_not_have_port_104_names_the_drop_in(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("glam-node")
    # Run as root without the capability, like the unit without the drop-in; other users have no capabilities.
    without = ["setpriv", "--bounding-set=-net_bind_service"] if os.geteuid() == 0 else []
    settings = f'[node]\nhost = "127.0.0.1"\nport = 104\n[storage]\nroot = "{tmp_path}"\n'
    (tmp_path / "node.toml").write_text(settings)
    command: list[str | Path] = [*without, program, "--settings", tmp_path / "node.toml", "serve"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode != 0
    assert "The receiver cannot listen on 127.0.0.1:104: Permission denied. " in ended.stderr + ended.stdout
    assert DROP_IN.relative_to(DROP_IN.parents[2]).as_posix() in ended.stderr + ended.stdout
