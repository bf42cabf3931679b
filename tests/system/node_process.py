"""The node as its users run it: commands with a settings file."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.command_line import glam_node
from tests.peers import PEERS
from tests.ports import free_port
from tests.preloaded import Popen, run_command
from tests.system.orthanc import Orthanc
from tests.waiting import wait_until

GLAM_NODE = Path(sys.executable).parent / "glam-node"


@dataclass
class NodeProcess:
    """A running `glam-node serve`, and commands for the same node."""

    settings_path: Path
    port: int
    process: subprocess.Popen[bytes]
    log_path: Path

    def command(self, *arguments: str, expect: int = 0) -> str:
        """The standard output of one command in this process, which ended with the exit code expected."""
        return glam_node(*arguments, expect=expect, GLAM_NODE_SETTINGS=str(self.settings_path)).stdout

    def studies(self) -> list[dict[str, Any]]:
        """Return the output of `studies --json`."""
        answer = json.loads(self.command("studies", "--json"))
        return list(answer)

    def log(self) -> str:
        """Return everything that the node has written."""
        return self.log_path.read_text(errors="replace")


def run_glam_node(*arguments: str, settings_path: Path | None = None, expect: int = 0) -> str:
    """Run one command until it exits."""
    environment = _clean_environment()
    if settings_path is not None:
        environment["GLAM_NODE_SETTINGS"] = str(settings_path)
    done = run_command([GLAM_NODE, *arguments], environment, 280)
    assert done.returncode == expect, f"{arguments} ended with {done.returncode}: {done.stdout}\n{done.stderr}"
    return done.stdout


def phantom_exam(directory: Path, *options: str) -> list[Path]:
    """The files of one synthetic four-view exam, as `glam-node phantom` writes them."""
    glam_node("phantom", "--out", directory, *options)
    files = sorted(directory.rglob("*.dcm"))
    assert len(files) == 4
    return files


def small_exam(directory: Path, seed: int) -> list[Path]:
    """A four-view exam small enough to be analysed in milliseconds."""
    return phantom_exam(directory, "--seed", str(seed), "--rows", "256", "--columns", "192")


def _clean_environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("GLAM_NODE")}


def write_settings(
    directory: Path, archive: Orthanc, *, port: int, predictor: str = "", more: str = "", archive_gets: str = ""
) -> Path:
    """Write a settings file for a node that accepts the peer DCMTK and sends to `archive`."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "node.toml"
    path.write_text(
        f"""
{more}
[node]
ae_title = "GLAMNODE"
host = "127.0.0.1"
port = {port}

[peers.pacs]
ae_title = "DCMTK"
hosts = ["127.0.0.1"]

[destinations.archive]
ae_title = "{archive.ae_title}"
host = "127.0.0.1"
port = {archive.dicom_port}
{archive_gets}

[assembly]
settle_time = 1.0
quiet_time = 4.0

[delivery]
initial_delay = 1.0
maximum_delay = 2.0

[storage]
root = "{directory / "storage"}"

[inference]
{predictor}
lease_time = 10.0
"""
    )
    return path


@contextmanager
def running_node(settings_path: Path, port: int, calling_ae_title: str = "DCMTK") -> Iterator[NodeProcess]:
    """Run `glam-node serve` and yield it when it listens; at the end, stop it by SIGTERM and expect exit code 0."""
    log_path = settings_path.with_suffix(".log")
    environment = _clean_environment()
    with log_path.open("ab") as log:
        process = Popen([GLAM_NODE, "--settings", str(settings_path), "serve"], stdout=log, stderr=log, env=environment)
    node = NodeProcess(settings_path, port, process, log_path)
    try:
        _wait_until_it_answers(node, calling_ae_title)
        yield node
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert process.returncode == 0, node.log()[-3000:]


def _wait_until_it_answers(node: NodeProcess, calling_ae_title: str) -> None:
    titles = ["-aet", calling_ae_title, "-aec", "GLAMNODE"]

    def answers() -> bool:
        assert node.process.poll() is None, f"serve ended: {node.log()}"
        return dcmtk("echoscu", "-to", "1", *titles, "127.0.0.1", str(node.port)).returncode == 0

    wait_until(answers, told=node.log)


def dcmtk(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of DCMTK's programs, not pynetdicom's program of the same name."""
    path = PEERS["dcmtk"].program.with_name(program)
    return subprocess.run([path, *arguments], capture_output=True, text=True, timeout=120)


def dcmsend(
    port: int, files: Sequence[Path], calling_ae_title: str = "DCMTK", called_ae_title: str = "GLAMNODE"
) -> None:
    """Send files as a PACS does; fail unless each is answered with success."""
    titles = ["-aet", calling_ae_title, "-aec", called_ae_title]
    done = dcmtk("dcmsend", "-v", *titles, "127.0.0.1", str(port), *[str(path) for path in files])
    assert done.returncode == 0, done.stdout + done.stderr


def settings_and_port(directory: Path, archive: Orthanc, **options: str) -> tuple[Path, int]:
    """Write a settings file for a node on a free port; return the file and the port."""
    port = free_port()
    return write_settings(directory, archive, port=port, **options), port


def wait_for_state(node: NodeProcess, state: str, seconds: float = 60) -> None:
    """Wait until the only study is in the wanted state."""
    wait_until(
        lambda: [study["state"] for study in node.studies()[:1]] == [state],
        seconds,
        told=lambda: f"wanted {state}, have {node.studies()}: {node.log()}",
    )
