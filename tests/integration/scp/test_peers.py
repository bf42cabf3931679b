"""Independent senders in every transfer syntax, and a receiver that is killed while they send."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import UID, JPEG2000Lossless, JPEGLSLossless
from pynetdicom import AE

from glam_node.inference.phantom import make_exam
from glam_node.node.db.engine import open_database
from glam_node.node.db.tables import InstanceRow
from glam_node.node.scp.contexts import DEFAULT_STORAGE_SOP_CLASSES, TRANSFER_SYNTAXES
from tests.data_sets import data_set
from tests.integration.scp.conftest import Receiver
from tests.integration.scp.raw import Sender
from tests.peers import PEERS
from tests.shared_data import SHARED, needs_shared_data

TITLES = ["-aet", "DCMTK", "-aec", "GLAMNODE", "127.0.0.1"]


def dcmtk(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program of DCMTK to its end."""
    path = PEERS["dcmtk"].program.with_name(program)
    return subprocess.run([path, *arguments], capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def mammogram(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small phantom view to a file."""
    path = tmp_path_factory.mktemp("mammogram") / "view.dcm"
    pydicom.dcmwrite(path, make_exam(7, rows=256, columns=192)[0].dataset, enforce_file_format=True)
    return path


# DCMTK program that encodes each syntax, and the option of storescu that proposes it
ENCODERS = {
    "Explicit VR Little Endian": (["dcmconv", "+te"], "-xe"),
    "Explicit VR Big Endian": (["dcmconv", "+tb"], "-xb"),
    "Implicit VR Little Endian": (["dcmconv", "+ti"], "-xi"),
    "Deflated": (["dcmconv", "+td"], "-xd"),
    "JPEG Lossless SV1": (["dcmcjpeg", "+e1"], "-xs"),
    "JPEG Extended": (["dcmcjpeg", "+ee"], "-xx"),
    "JPEG-LS Lossless": (["dcmcjpls", "+el"], "-xt"),
    "JPEG-LS Near-lossless": (["dcmcjpls", "+en"], "-xu"),
    "RLE Lossless": (["dcmcrle"], "-xr"),
}


@pytest.mark.peer("dcmtk")
@pytest.mark.parametrize(("encoder", "option"), ENCODERS.values(), ids=ENCODERS.keys())
def test_an_instance_is_kept_in_the_syntax_it_was_sent_in(
    receiver: Receiver, mammogram: Path, tmp_path: Path, encoder: list[str], option: str
) -> None:
    encoded = tmp_path / "encoded.dcm"
    assert dcmtk(encoder[0], *encoder[1:], mammogram, encoded).returncode == 0
    sent = dcmtk("storescu", option, *TITLES, str(receiver.port), encoded)
    assert sent.returncode == 0, sent.stderr
    wanted = pydicom.dcmread(encoded, stop_before_pixels=True)
    row = receiver.rows()[str(wanted.SOPInstanceUID)]
    assert row.transfer_syntax_uid == wanted.file_meta.TransferSyntaxUID
    assert row.attributes["modality"] == "MG"
    assert pydicom.dcmread(receiver.store.resolve(row.path)).Rows == 256


@pytest.mark.peer("dcmtk")
@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless], ids=["JPEG-LS", "JPEG 2000"])
def test_dcmsend_keeps_the_compression_of_its_files(
    receiver: Receiver, mammogram: Path, tmp_path: Path, syntax: UID
) -> None:
    encoded, dataset = tmp_path / "encoded.dcm", pydicom.dcmread(mammogram)
    dataset.compress(syntax, generate_instance_uid=False)
    dataset.save_as(encoded)
    assert dcmtk("dcmsend", *TITLES, str(receiver.port), encoded).returncode == 0
    (row,) = receiver.rows().values()
    assert row.transfer_syntax_uid == syntax
    assert receiver.store.resolve(row.path).stat().st_size < mammogram.stat().st_size


def test_pynetdicom_gets_a_context_for_every_class_in_every_syntax(receiver: Receiver) -> None:
    for syntax in TRANSFER_SYNTAXES:
        ae = AE(ae_title="PYNETDICOM")
        for sop_class in DEFAULT_STORAGE_SOP_CLASSES:
            ae.add_requested_context(sop_class, syntax)
        association = ae.associate("127.0.0.1", receiver.port, ae_title="GLAMNODE")
        assert association.is_established
        accepted = association.accepted_contexts
        association.release()
        assert {context.abstract_syntax for context in accepted} == set(DEFAULT_STORAGE_SOP_CLASSES)
        assert {context.transfer_syntax[0] for context in accepted} == {syntax}


@needs_shared_data
@pytest.mark.shared_data
@pytest.mark.peer("dcmtk")
def test_real_mammograms_of_three_vendors_are_kept_with_their_view(receiver: Receiver) -> None:
    assert SHARED is not None
    files = ["fodicom_GH133_GE_Essential_RMLO", "omama_GE_Essential_RCC_2294", "omama_Hologic_DSM_stereoscout_L"]
    for name in files:
        path = SHARED / "data" / "dicom" / "mg" / f"{name}.dcm"
        sent = dcmtk("dcmsend", *TITLES, str(receiver.port), path)
        assert sent.returncode == 0, sent.stderr
    views = {(row.attributes["image_laterality"], row.attributes["view_position"]) for row in receiver.rows().values()}
    assert {("R", "MLO"), ("R", "CC")} <= views


RECEIVER = """
import sys, time
from pathlib import Path
from tests.integration.scp.conftest import running_receiver
with running_receiver(Path(sys.argv[1])) as receiver:
    receiver.store.sweep()
    print(receiver.port, flush=True)
    time.sleep(60)
"""


def start_receiver(root: Path) -> tuple[subprocess.Popen[str], int]:
    """Start a receiver process; return it and its port."""
    process = subprocess.Popen(
        [sys.executable, "-c", RECEIVER, str(root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(__file__).resolve().parents[3],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip().isdigit():
            return process, int(line)
    raise AssertionError("the receiver did not start")


def send_until_it_dies(port: int, prefix: str, answered: dict[str, bytes]) -> None:
    """Send instances; add those that were acknowledged to `answered`."""
    try:
        with Sender(port) as sender:
            sender.associate()
            for number in range(10_000):
                uid = f"{prefix}.{number}"
                data = data_set(uid, pixel_bytes=200_000)
                if sender.store(uid, data) == 0x0000:
                    answered[uid] = data
    except (OSError, AssertionError, ValueError):
        return


@pytest.mark.timeout(120)
def test_a_receiver_killed_six_times_loses_no_instance_that_it_acknowledged(tmp_path: Path) -> None:
    root, answered = tmp_path / "root", dict[str, bytes]()
    for life in range(6):
        process, port = start_receiver(root)
        senders = [
            threading.Thread(target=send_until_it_dies, args=(port, f"1.2.20.{life}.{number}", answered))
            for number in range(3)
        ]
        for sender in senders:
            sender.start()
        time.sleep(0.2 + 0.13 * life)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        for sender in senders:
            sender.join()
    process, _ = start_receiver(root)
    process.kill()
    process.communicate()
    assert len(answered) > 20
    assert list((root / "incoming").iterdir()) == []
    with open_database(f"sqlite:///{root / 'test.sqlite'}")() as session:
        for uid, data in answered.items():
            row = session.get(InstanceRow, uid)
            assert row is not None, uid
            assert (root / row.path).read_bytes().endswith(data)
