"""Tests that the wheel works in an environment that contains only what it declares."""

import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable, Iterator
from email.parser import Parser
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

from glam_node import __version__

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.timeout(600)


def needed(stated: Iterable[str], extras: Iterable[str] = ()) -> Iterator[Requirement]:
    """Return those of a distribution's requirements that apply to this machine."""
    for requirement in map(Requirement, stated):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def installed_with(stated: list[str]) -> list[metadata.Distribution]:
    """Return the distributions that pip installs for these requirements, in the versions installed here."""
    waiting, found = list(needed(stated)), {}
    while waiting:
        one = waiting.pop()
        key = (re.sub(r"[-_.]+", "-", one.name).lower(), *sorted(one.extras))
        if key not in found:
            found[key] = metadata.distribution(one.name)
            waiting += needed(found[key].requires or [], one.extras)
    return list(found.values())


def link_files(distributions: list[metadata.Distribution], site: Path) -> None:
    """Link the files of the distributions into the site-packages of an environment."""
    for distribution in distributions:
        for file in distribution.files or []:
            target = site / file
            if ".." not in file.parts and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                _link(Path(str(distribution.locate_file(file))).resolve(), target)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # the environment is on another disk
        shutil.copy2(source, target)


def run(*command: object) -> str:
    """Run a command outside of the checkout, without variables of this environment, and return its output."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("GLAM_NODE", "PYTHON", "VIRTUAL_"))
    }
    done = subprocess.run([str(word) for word in command], cwd="/", env=kept, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of an environment into which the wheel was installed."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, ROOT)
    [wheel] = folder.glob("*.whl")
    with ZipFile(wheel) as archive:
        [name] = [one for one in archive.namelist() if one.endswith(".dist-info/METADATA")]
        stated = Parser().parsestr(archive.read(name).decode())
    venv.create(folder / "environment", symlinks=True)
    site = next((folder / "environment").glob("lib/python3*/site-packages"))
    link_files(installed_with(stated.get_all("Requires-Dist") or []), site)
    run(sys.executable, "-m", "pip", "-q", "--python", folder / "environment", "install", "--no-deps", wheel)
    return folder / "environment" / "bin" / "python"


def test_the_installed_wheel_runs_the_demo_and_the_readmes_example(python: Path, tmp_path: Path) -> None:
    command = python.with_name("glam-node")
    assert run(command, "--version") == f"glam-node {__version__}\n"
    told = run(command, "demo", "--out", tmp_path / "demo")
    assert "Segmentation" in told
    view = next((tmp_path / "demo").rglob("*.dcm"))
    [example] = re.findall(r"```python\n(from glam_node.inference import load_model.*?)```", readme(), re.DOTALL)
    told = run(
        python, "-c", example.replace('"view.dcm"', f'"{view}"') + "\nimport glam_node\nprint(glam_node.__file__)"
    )
    assert str(python.parent.parent) in told
    assert "None" not in told


def readme() -> str:
    """Return the text of the README."""
    return (ROOT / "README.md").read_text()
