"""Test that a process that listens on a port never loads torch, independent of the import contracts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LISTENING = ("run.receiver", "run.dispatcher", "run.sender", "run.all_in_one", "console.__main__")


@pytest.mark.parametrize("process", LISTENING)
def test_a_listening_process_does_not_import_torch(process: str) -> None:
    program = f"import sys, glam_node.node.{process}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


NOT_NEEDED = {
    "run.receiver": ("numpy", "gdcm", "PIL", "rich", "requests", "alembic", "pydicom.sr", "glam_node.node.results"),
    "run.dispatcher": ("gdcm", "PIL", "rich", "cv2", "valkey", "pydicom.sr", "highdicom", "glam_node.node.scp"),
    "run.sender": (
        *("PIL", "rich", "cv2", "requests", "celery", "redis", "pydicom.sr", "highdicom", "lark"),
        "glam_node.node.scp",
    ),
    "run.worker": ("torch", "rich", "requests", "lark", "glam_node.node.scp"),
    "console.__main__": ("torch", "rich", "valkey", "celery", "highdicom", "glam_node.node.scp.server"),
    "run.all_in_one": ("numpy", "pydicom", "pynetdicom", "celery", "redis", "valkey", "lark", "rich", "alembic"),
}
"""Modules that the processes do not import, which would make the start of a node take longer."""


@pytest.mark.parametrize("process", NOT_NEEDED)
def test_a_process_loads_nothing_that_it_does_not_need(process: str) -> None:
    name = process.removeprefix("run.").removesuffix(".__main__")
    program = (
        f"import sys; from glam_node.node.run.skipped_imports import skip_imports; skip_imports({name!r})\n"
        f"import glam_node.node.{process}\n"
        f"print([name for name in {NOT_NEEDED[process]} if sys.modules.get(name)])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_predictor_of_the_site_may_import_what_a_worker_does_without(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "import requests, rich\nfrom glam_node.inference.threshold import ThresholdPredictor as Own\n"
    )
    program = (
        "from glam_node.node.run.skipped_imports import skip_imports; skip_imports('worker')\n"
        "from glam_node.node.run import worker; from glam_node.settings.load import load_settings\n"
        "print(type(worker._load(load_settings(None, {'GLAM_NODE__INFERENCE__PREDICTOR': 'own:Own'}))).__name__)"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("ThresholdPredictor\n", "")


def test_settings_without_rules_are_loaded_without_pydicom() -> None:
    program = (
        "import sys; from glam_node.settings.load import load_settings; load_settings(None, {})\n"
        "print([name for name in ('pydicom', 'numpy', 'lark') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_the_sender_still_compresses_by_compiled_code() -> None:
    program = (
        "from glam_node.node.run.skipped_imports import skip_imports; skip_imports('sender')\n"
        "from pydicom.pixels.encoders import RLELosslessEncoder\n"
        "print(RLELosslessEncoder.available_plugins)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("('gdcm'")
