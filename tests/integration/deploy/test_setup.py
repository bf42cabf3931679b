"""Tests that scripts/setup.sh chooses the right build of torch, with local package indexes."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from zipfile import ZipFile

import pytest

from tests.ports import free_port

SETUP = Path(__file__).resolve().parents[3] / "scripts" / "setup.sh"
GPU = Path("/dev/nvidiactl")

pytestmark = pytest.mark.skipif(GPU.exists(), reason="with a GPU the build with CUDA is the right one")


class Quiet(SimpleHTTPRequestHandler):
    """A web server without a log."""

    def log_message(self, *_arguments: object) -> None:
        """Log nothing."""


def write_wheel(index: Path, version: str, *needs: str, name: str = "torch") -> None:
    """Add an empty package to a package index."""
    folder = index / name
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    requirements = "".join(f"Requires-Dist: {one}\n" for one in needs)
    with ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requirements}")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """Serve a package index on loopback, and yield its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(directory)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def indexes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Yield the addresses of an index like PyPI, whose torch needs the CUDA libraries, and of one with CPU builds."""
    directory = tmp_path_factory.mktemp("indexes")
    write_wheel(directory / "main", "2.13.0", "nvidia-cublas; platform_system == 'Linux'")
    write_wheel(directory / "main", "1.0", name="nvidia_cublas")
    (directory / "main" / "nvidia_cublas").rename(directory / "main" / "nvidia-cublas")
    write_wheel(directory / "main", "1.0", name="tried")
    write_wheel(directory / "cpu", "2.13.0+cpu")
    with ExitStack() as stack:
        main, cpu = (stack.enter_context(served(directory / name)) for name in ("main", "cpu"))
        yield main, cpu


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one virtual environment for all tests, since creating it takes longer than the tests."""
    return tmp_path_factory.mktemp("a folder") / ".venv"


def set_up(venv: Path, index: str, torch_index: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    """Run the script in an environment without packages, with only these indexes."""
    for name in ("torch", "tried", "nvidia_cublas"):
        for path in venv.glob(f"lib/python*/site-packages/{name}-*.dist-info"):
            shutil.rmtree(path)
    return run_script(venv, index, torch_index, python)


def run_script(
    venv: Path, index: str, torch_index: str, python: str = sys.executable
) -> subprocess.CompletedProcess[str]:
    """Run the script as make does, with only these indexes and without a terminal."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index, "PIP_NO_CACHE_DIR": "1", "PIP_RETRIES": "0"}
    environment |= {"PYTHON": python, "TORCH": "torch==2.13.0", "TORCH_INDEX": torch_index}
    command: list[str | Path] = [SETUP, venv, "tried"]
    return subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240, check=False
    )


def installed(venv: Path) -> set[str]:
    """Return the names and versions of the packages in an environment."""
    return {path.name.removesuffix(".dist-info") for path in venv.glob("lib/python*/site-packages/*.dist-info")}


def test_setup_installs_the_build_for_cpus_without_a_gpu_and_keeps_it(venv: Path, indexes: tuple[str, str]) -> None:
    done = set_up(venv, *indexes)
    assert done.returncode == 0, done.stderr
    assert {"torch-2.13.0+cpu", "tried-1.0"} <= installed(venv)
    assert not any(name.startswith("nvidia") for name in installed(venv))
    again = run_script(venv, *indexes)
    assert (again.returncode, "installing torch" in again.stdout) == (0, False)


def test_setup_states_size_and_remedy_before_a_large_download(venv: Path, indexes: tuple[str, str]) -> None:
    done = set_up(venv, indexes[0], f"http://127.0.0.1:{free_port()}/")
    assert done.returncode == 0, done.stderr
    stated, _, rest = done.stdout.partition("== installing torch")
    assert rest
    for words in ("NVIDIA GPUs: about 3 GB to download, 5 GB", "make TORCH_INDEX=", "make TORCH="):
        assert words in stated
    assert "nvidia_cublas-1.0" in installed(venv)


def test_setup_refuses_an_old_python_and_says_what_to_install(tmp_path: Path) -> None:
    refused = set_up(tmp_path / ".venv", "", "", python="/bin/false")
    assert refused.returncode == 1
    assert "sudo apt-get install python3 python3-venv" in refused.stderr


def test_setup_says_what_to_check_where_pip_finds_no_index(venv: Path) -> None:
    dead = f"http://127.0.0.1:{free_port()}/"
    failed = set_up(venv, dead, dead)
    assert failed.returncode == 1
    assert "pip found no torch==2.13.0 for this Python and machine" in failed.stderr
    assert "check the network and proxy of this machine (pip config list)" in failed.stderr
