"""A process that listens on a port never loads torch, whatever the import contracts say."""

import subprocess
import sys

import pytest

LISTENING = ("run.receiver", "run.dispatcher", "run.sender", "run.all_in_one", "console.__main__")


@pytest.mark.parametrize("process", LISTENING)
def test_a_listening_process_does_not_import_torch(process: str) -> None:
    program = f"import sys, glam_node.node.{process}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
