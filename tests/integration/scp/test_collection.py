"""The test files of pydicom, including malformed ones, are stored bit for bit or refused, and read or refused."""

from collections import Counter
from pathlib import Path

import pydicom.data
import pytest
from pydicom.filereader import read_file_meta_info

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.reading import read_dataset, read_mammogram
from glam_node.node.scp.contexts import accepted_contexts
from tests.data_sets import EXPLICIT_LITTLE, MG, data_set
from tests.integration.scp.conftest import Receiver, running_receiver
from tests.integration.scp.raw import Sender
from tests.torture.ledger import data_set_bytes

FILES = sorted((Path(pydicom.data.__file__).parent / "test_files").rglob("*.dcm"))
STATUSES = {0x0000, 0xA900, 0xC000}

pytestmark = pytest.mark.filterwarnings("ignore")


def sent(receiver: Receiver, path: Path, number: int) -> tuple[str, bytes, int]:
    """Send a file, with made-up UIDs if it has none; return SOP Instance UID, data set and status."""
    uid, sop_class, syntax, data = f"2.25.95{number}", MG, EXPLICIT_LITTLE, path.read_bytes()
    try:
        meta = read_file_meta_info(path)
        uid, data = str(meta.MediaStorageSOPInstanceUID), data_set_bytes(path)
        if meta.TransferSyntaxUID in accepted_contexts(("all",)).get(str(meta.MediaStorageSOPClassUID), ()):
            sop_class, syntax = str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)
    except Exception:
        uid = f"2.25.95{number}"
    with Sender(receiver.port) as sender:
        assert sender.associate(abstract_syntaxes=(sop_class,), transfer_syntax=syntax) == 2, path
        return uid, data, sender.store(uid, data, sop_class_uid=sop_class)


def test_each_file_is_kept_bit_for_bit_or_refused_and_the_node_keeps_running(tmp_path: Path) -> None:
    counts: Counter[int] = Counter()
    with running_receiver(tmp_path / "root", additional_storage_sop_classes=("all",)) as receiver:
        for number, path in enumerate(FILES):
            known = set(receiver.rows())
            uid, data, status = sent(receiver, path, number)
            assert status in STATUSES, (path, hex(status))
            counts[status] += 1
            if status == 0x0000 and uid not in known:
                assert data_set_bytes(receiver.store.resolve(receiver.rows()[uid].path)) == data, path
        with Sender(receiver.port) as sender:
            assert sender.associate() == 2
            assert sender.store("2.25.94", data_set("2.25.94")) == 0x0000
        assert receiver.parts() == []
    assert counts[0x0000] > len(FILES) / 2
    assert counts.total() - counts[0x0000] > 5


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_each_file_is_read_or_refused(path: Path) -> None:
    try:
        assert read_mammogram(read_dataset(path)).pixels.any()
    except UnsupportedMammogram as refusal:
        assert str(refusal)
