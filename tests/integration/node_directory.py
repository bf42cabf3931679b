"""A node for one test: its settings file, its processes, and its database."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from glam_node.node.bootstrap import Node, build_node
from glam_node.node.run.supervisor import Child, stop_together
from glam_node.settings.load import load_settings
from tests.integration.modality import MODALITY
from tests.processes import Separate
from tests.waiting import wait_until

THRESHOLD = "glam_node.inference.threshold:ThresholdPredictor"
REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class NodeDirectory:
    """A directory with node.toml and a storage root."""

    path: Path

    @property
    def settings_path(self) -> Path:
        """Path of node.toml."""
        return self.path / "node.toml"

    def environment(self) -> dict[str, str]:
        """Return the environment for a process of this node."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith("GLAM_NODE")}
        return clean | {"GLAM_NODE_SETTINGS": str(self.settings_path), "PYTHONPATH": str(REPOSITORY)}

    def build(self) -> Node:
        """Build the node as its processes do."""
        return build_node(load_settings(self.settings_path, {}))

    @contextmanager
    def running(self, *names: str, **environment: str) -> Iterator[list[Child]]:
        """Run processes of this node, wait until each is ready, and stop them at the end."""
        with self._running([Separate(name, self.environment() | environment) for name in names]) as children:
            yield children

    @contextmanager
    def executed(self, name: str, **environment: str) -> Iterator[Child]:
        """Run a process of this node as `running` does, but with no other modules than its own, for measurements."""
        child = Separate(name, self.environment() | environment, popen=subprocess.Popen)
        with self._running([child]):
            yield child

    @contextmanager
    def _running(self, children: Sequence[Child]) -> Iterator[list[Child]]:
        try:
            wait_until(lambda: all_ready(children))
            yield list(children)
        finally:
            stop_together(children)


def all_ready(children: Sequence[Child]) -> bool:
    """Return whether each process has reported that it is ready."""
    for child in children:
        child.look()
    return all(child.word is not None for child in children)


def write_node(
    path: Path,
    *,
    archive_port: int = 104,
    broker_url: str = "",
    database_url: str = "",
    predictor: str = THRESHOLD,
    port: int = 0,
) -> NodeDirectory:
    """Write a node that accepts MODALITY, sends to one archive, and has short waiting times."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "node.toml").write_text(
        f"""
broker_url = "{broker_url}"
database_url = "{database_url}"
[node]
host = "127.0.0.1"
port = {port}
[peers.modality]
ae_title = "{MODALITY}"
[destinations.archive]
ae_title = "ARCHIVE"
host = "127.0.0.1"
port = {archive_port}
[assembly]
settle_time = 0.5
[delivery]
initial_delay = 0.5
maximum_delay = 0.5
[storage]
root = "{path / "storage"}"
[inference]
predictor = "{predictor}"
lease_time = 3.0
"""
    )
    return NodeDirectory(path)


SERVE_COMMAND = (sys.executable, "-m", "glam_node", "serve")
