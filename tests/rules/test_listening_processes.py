"""Test that a process that listens on a port never loads torch, independent of the import contracts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LISTENING = ("run.receiver", "run.dispatcher", "run.sender", "run.all_in_one", "console.server")


@pytest.mark.parametrize("process", LISTENING)
def test_a_listening_process_does_not_import_torch(process: str) -> None:
    program = f"import sys, glam_node.node.{process}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


ROLES = ("worker", "receiver", "dispatcher", "sender", "console")
NOT_NEEDED = {
    "receiver": ("numpy", "gdcm", "PIL", "rich", "requests", "alembic", "pydicom.sr", "glam_node.node.results"),
    "worker": ("torch", "rich", "requests", "lark", "alembic", "glam_node.node.scp", "glam_node.node.console"),
    "serve": ("torch", "rich", "alembic", "valkey", "glam_node.node.demo", "glam_node.research"),
}
"""Modules that the processes of a command do not import, which would make its start take longer."""
PROCESSES = {"receiver": ("receiver",), "worker": ("worker",), "serve": ROLES}


@pytest.mark.parametrize("command", NOT_NEEDED)
def test_a_command_loads_nothing_that_its_processes_do_not_need(command: str) -> None:
    program = (
        f"import sys; from glam_node.node.run.skipped_imports import skip_imports; skip_imports({command!r})\n"
        "import glam_node.node.cli.main, glam_node.node.run.all_in_one, glam_node.node.run.single_process\n"
        "from glam_node.node.run.supervisor import role_program\n"
        f"for role in {PROCESSES[command]}: role_program(role, {{}})\n"
        f"print([name for name in {NOT_NEEDED[command]} if sys.modules.get(name)])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[]\n", "")


BEFORE_IT_FORKS = ("numpy", "pydicom", "pynetdicom", "celery", "redis", "valkey", "lark", "rich", "alembic")


def test_a_node_starts_its_broker_before_it_imports_the_modules_of_its_processes() -> None:
    program = (
        "import sys; from glam_node.node.run.skipped_imports import skip_imports; skip_imports('serve')\n"
        "import glam_node.node.run.all_in_one\n"
        f"print([name for name in {BEFORE_IT_FORKS} if sys.modules.get(name)])"
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
        "from glam_node.node.run.skipped_imports import skip_imports; skip_imports('serve')\n"
        "from pydicom.pixels.encoders import RLELosslessEncoder\n"
        "print(RLELosslessEncoder.available_plugins)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("('gdcm'")
