"""Readers of the files in deploy/: environments, commands and manifests."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.peers import PEERS

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
DOCKERFILES = sorted((DEPLOY / "docker").glob("Dockerfile*"))
CHART = DEPLOY / "helm" / "glam-node"
PASSWORDS = {"POSTGRES_PASSWORD": "one", "ORTHANC_PASSWORD": "two", "GRAFANA_PASSWORD": "three"}
DATABASE = "database.url=postgresql+psycopg://glam:secret@postgres/glam"

Manifest = dict[str, Any]


def run(peer: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Return the output of a third-party program."""
    command = [str(PEERS[peer].program), *map(str, arguments)]
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **environment}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)


def compose(*more: str) -> Manifest:
    """Return the laboratory's configuration as compose parses it."""
    files = [word for name in ("compose.yaml", *more) for word in ("-f", DEPLOY / "compose" / name)]
    done = run("docker-compose", *files, "config", **PASSWORDS)
    assert done.returncode == 0, done.stderr
    return dict(yaml.safe_load(done.stdout))


def rendered(*values: str) -> list[Manifest]:
    """Return the objects that the chart renders for these values."""
    chosen = [word for value in (DATABASE, *values) for word in ("--set", value)]
    done = run("helm", "template", "lab", CHART, *chosen)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """Return the instructions of the last stage with their arguments."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", dockerfile.read_text(), flags=re.MULTILINE))
    last_stage = joined[joined.rindex("\nFROM ") :]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in last_stage.split("\n")) if word]


def image_environment(dockerfile: Path) -> dict[str, str]:
    """Return the variables that ENV sets in the image."""
    pairs = [pair for word, rest in instructions(dockerfile) if word == "ENV" for pair in shlex.split(rest)]
    return dict(pair.split("=", 1) for pair in pairs)


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    """Return the objects of one kind by name."""
    return {one["metadata"]["name"]: one for one in manifests if one["kind"] == kind}


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [str(PEERS["promtool"].program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
