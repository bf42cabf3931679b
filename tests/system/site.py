"""A site for several tests: a node run by `glam-node serve` with a settings file as an administrator writes it."""

import json
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread

from tests.command_line import glam_node
from tests.integration.modality import MODALITY, send, small_exam
from tests.ports import free_port
from tests.system.node_process import NodeProcess, running_node
from tests.waiting import wait_until

QUICK = {
    "node": {"ae_title": "GLAMNODE", "host": "127.0.0.1"},
    "peers": {"modality": {"ae_title": MODALITY}},
    "assembly": {"settle_time": 0.5},
    "delivery": {"initial_delay": 0.5, "maximum_delay": 0.5},
    "inference": {"predictor": "glam_node.inference.threshold:ThresholdPredictor", "lease_time": 5.0},
}
"""Settings of a node with short waiting times that analyses images in milliseconds."""
DONE = {"STORED", "COMMITTED", "WITHHELD", "REPLACED", "STANDBY", "ABANDONED"}
"""Final states of deliveries."""


@dataclass
class Site:
    """A settings file, and the node that uses it."""

    path: Path
    port: int
    tls_port: int = 0
    node: NodeProcess | None = None

    def command(self, *words: str, expect: int | None = 0) -> str:
        """Run a command with the same settings file and return its output."""
        return glam_node(*words, expect=expect, GLAM_NODE_SETTINGS=str(self.path)).stdout

    def send(
        self, images: Sequence[Dataset], calling_ae_title: str = MODALITY, called_ae_title: str = "GLAMNODE"
    ) -> str:
        """Send images as a modality does, and return their Study Instance UID."""
        send(self.port, list(images), called_ae_title, calling_ae_title)
        return str(images[0].StudyInstanceUID)

    def send_exam(self, seed: int, **elements: Any) -> str:
        """Send four small views with these elements, and return their Study Instance UID."""
        views = small_exam(seed)
        for view in views:
            for keyword, value in elements.items():
                setattr(view, keyword, value)
        return self.send(views)

    def study(self, uid: str) -> dict[str, Any]:
        """Return the output of `glam-node study` as a dictionary."""
        told: dict[str, Any] = json.loads(self.command("study", uid, "--json"))
        return told

    def wait_for(self, uid: str, state: str = "REPORTED", seconds: float = 90) -> dict[str, Any]:
        """Wait until the study is in the state, and return its description."""
        wait_until(lambda: self.study(uid)["state"] == state, seconds, lambda: f"{self.study(uid)}: {self.log()}")
        return self.study(uid)

    def wait_for_deliveries(self, uid: str, seconds: float = 90) -> list[dict[str, Any]]:
        """Wait until all deliveries of the study are in a final state, and return them."""
        self.wait_for(uid)
        wait_until(
            lambda: {one["state"] for one in self.study(uid)["deliveries"]} <= DONE,
            seconds,
            lambda: f"{self.study(uid)['deliveries']}: {self.log()}",
        )
        return list(self.study(uid)["deliveries"])

    def log(self) -> str:
        """Return the log of the node."""
        return self.path.with_suffix(".log").read_text(errors="replace")

    def reload(self, more: dict[str, Any]) -> str:
        """Change settings, reload them in the running node, and return the output of the command."""
        write(self.path, merged(tomllib.loads(self.path.read_text(encoding="utf-8")), more))
        return self.command("settings", "reload")

    @property
    def storage(self) -> Path:
        """The path of storage.root."""
        return self.path.parent / "storage"


def merged(tree: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Merge two tables; values of `more` take precedence, and None removes a key."""
    result = dict(tree)
    for name, value in more.items():
        if isinstance(value, dict):
            result[name] = merged(result.get(name, {}), value)
        elif value is None:
            result.pop(name, None)
        else:
            result[name] = value
    return result


def write(path: Path, tree: dict[str, Any]) -> None:
    """Write a settings file."""
    path.write_text("\n".join(_lines(tree, ())) + "\n", encoding="utf-8")


def _lines(tree: dict[str, Any], table: tuple[str, ...]) -> Iterator[str]:
    values = {name: value for name, value in tree.items() if not isinstance(value, dict)}
    if table:
        yield f"[{'.'.join(table)}]"
    yield from (f"{name} = {json.dumps(value, default=str)}" for name, value in values.items())
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _lines(value, (*table, name))


def written_site(directory: Path, settings: dict[str, Any]) -> Site:
    """Write the settings file of a site, and return the site."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    ours = {"node": {"port": port}, "storage": {"root": directory / "storage"}}
    site = Site(directory / "node.toml", port)
    write(site.path, merged(merged(QUICK, ours), settings))
    return site


@contextmanager
def running(site: Site) -> Iterator[Site]:
    """Run `glam-node serve` on the site until the end of the block."""
    with running_node(site.path, site.port, calling_ae_title=MODALITY) as node:
        site.node = node
        yield site


@contextmanager
def running_site(directory: Path, settings: dict[str, Any]) -> Iterator[Site]:
    """Write a settings file and run `glam-node serve` with it."""
    with running(written_site(directory, settings)) as site:
        yield site


def folder(path: Path, **more: Any) -> dict[str, Any]:
    """Return the settings of a folder destination."""
    return {"kind": "folder", "path": path, **more}


def objects(directory: Path) -> list[Dataset]:
    """Return all objects of a folder destination, read without pixels."""
    return [dcmread(path, stop_before_pixels=True) for path in sorted(directory.rglob("*.dcm"))]
