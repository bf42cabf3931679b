"""A process that listens on a port never loads torch, whatever the import contracts say."""

import subprocess
import sys

import pytest

LISTENING = ("receiver", "dispatcher", "sender", "all_in_one")


@pytest.mark.parametrize("process", LISTENING)
def test_a_listening_process_does_not_import_torch(process: str) -> None:
    program = f"import sys, glam_node.node.run.{process}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
