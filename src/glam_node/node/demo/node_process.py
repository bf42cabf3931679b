"""The node of the demo: a separate process of `glam-node serve`, with a settings file for later use."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from glam_node.node.demo import archive, modality
from glam_node.node.errors import PermanentError
from glam_node.node.run import process_lifecycle
from glam_node.node.run.process_lifecycle import PARENT

AE_TITLE = "GLAMNODE"
START_S = 120.0
STOP_S = 30.0
POLL_S = 0.1
READY = b"glam-node: listening on"
LINES_SHOWN = 5
ENDING_WITH_PARENT = (sys.executable, "-m", process_lifecycle.__name__)
"""The start of the command of a program that ends with this process."""


@dataclass(frozen=True, slots=True)
class DemoNode:
    """Port and files of the node of the demo."""

    port: int
    settings_path: Path
    log_path: Path


def free_port() -> int:
    """Return a TCP port of this machine that is free at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_settings(path: Path, *, port: int, archive_port: int, fast: bool) -> None:
    """Write the settings of a node that receives from the demo's modality and sends to its archive."""
    predictor = 'predictor = "glam_node.inference.threshold:ThresholdPredictor"\n' if fast else ""
    path.write_text(
        f"""\
# Written by `glam-node demo`. For your own node start from `glam-node settings explain --format toml`.
[node]
ae_title = "{AE_TITLE}"
host = "127.0.0.1"
port = {port}

[peers.modality]
ae_title = "{modality.AE_TITLE}"
hosts = ["127.0.0.1"]

[destinations.archive]
ae_title = "{archive.AE_TITLE}"
host = "127.0.0.1"
port = {archive_port}

# Shorter than the defaults, which suit a PACS.
[assembly]
settle_time = {0.3 if fast else 1.0}
quiet_time = {2.0 if fast else 5.0}

[storage]
root = {json.dumps(str(path.parent.resolve() / "storage"), ensure_ascii=False)}

[inference]
{predictor}""",
        encoding="utf-8",
    )


@contextmanager
def running_node(node: DemoNode) -> Iterator[None]:
    """Run the node until the context ends; the node also stops when this process dies.

    Raises:
        PermanentError: The node does not start; the message contains the end of its log.
    """
    with node.log_path.open("wb") as log:
        process = subprocess.Popen(
            (*ENDING_WITH_PARENT, sys.executable, "-m", "glam_node", "--settings", str(node.settings_path), "serve"),
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait_until_ready(process, node)
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _environment() -> dict[str, str]:
    """Return the environment of this process without the settings of another node."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("GLAM_NODE")}
    return {**kept, PARENT: str(os.getpid()), "PYTHONUNBUFFERED": "1"}


def _wait_until_ready(process: "subprocess.Popen[bytes]", node: DemoNode) -> None:
    deadline = time.monotonic() + START_S
    while READY not in node.log_path.read_bytes():
        if process.poll() is not None:
            raise PermanentError(
                f"The node stopped during its start: {_end_of(node.log_path)} Its log: {node.log_path}"
            )
        if time.monotonic() > deadline:
            raise PermanentError(f"The node was not ready within {START_S:.0f} s. Its log: {node.log_path}")
        time.sleep(POLL_S)


def _end_of(log_path: Path) -> str:
    return " | ".join(log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES_SHOWN:])
