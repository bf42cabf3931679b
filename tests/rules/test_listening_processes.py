"""A process that listens on a port never loads torch, whatever the import contracts say."""

import subprocess
import sys

import pytest

LISTENING = ("run.receiver", "run.dispatcher", "run.sender", "run.all_in_one", "console.__main__")


@pytest.mark.parametrize("process", LISTENING)
def test_a_listening_process_does_not_import_torch(process: str) -> None:
    program = f"import sys, glam_node.node.{process}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_the_receiver_loads_nothing_that_it_does_not_need() -> None:
    unwanted = ("numpy", "gdcm", "PIL", "rich", "requests", "alembic", "pydicom.sr", "glam_node.node.results")
    program = (
        "import sys; from glam_node.node.run.left_out import leave_out; leave_out()\n"
        "import glam_node.node.run.receiver\n"
        f"print([name for name in {unwanted} if sys.modules.get(name)])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[]\n", "")
