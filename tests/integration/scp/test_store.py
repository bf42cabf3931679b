"""C-STORE keeps every instance that it answers with 0x0000, and states the reason of every refusal."""

import hashlib
import itertools
import threading
from pathlib import Path

import pydicom
import pytest
from blake3 import blake3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glam_node.node.scp.contexts import TRANSFER_SYNTAXES
from glam_node.node.storage.root import write_marker
from tests.data_sets import MG, data_set
from tests.integration.scp.conftest import Receiver, running_receiver
from tests.integration.scp.raw import VERIFICATION, Sender, command, echo_rq, element, p_data, pdv, store_rq
from tests.shared_data import SHARED, needs_shared_data

UID = "1.2.3.4.5"


def sent(receiver: Receiver, uid: str, data: bytes, **request: object) -> int:
    """Send an instance on an association of its own; return its status."""
    with Sender(receiver.port) as sender:
        assert sender.associate() == 2
        return sender.store(uid, data, **request)


def test_an_acknowledged_instance_is_kept_bit_for_bit(receiver: Receiver) -> None:
    data = data_set(UID, pixel_bytes=300_000)
    assert sent(receiver, UID, data) == 0x0000
    row = receiver.rows()[UID]
    assert receiver.store.resolve(row.path).read_bytes().endswith(data)
    assert row.blake3 == blake3(data).hexdigest()
    assert row.byte_count == len(data)
    assert receiver.parts() == []


def test_a_stored_file_is_dicom_with_our_file_meta_information(receiver: Receiver) -> None:
    sent(receiver, UID, data_set(UID, ImageLaterality="L"))
    stored = pydicom.dcmread(receiver.store.resolve(receiver.rows()[UID].path))
    assert stored.file_meta.MediaStorageSOPInstanceUID == UID
    assert stored.ImageLaterality == "L"


def test_repeated_bytes_are_accepted_and_kept_once(receiver: Receiver) -> None:
    data = data_set(UID)
    assert [sent(receiver, UID, data) for _ in range(2)] == [0x0000, 0x0000]
    assert list(receiver.rows()) == [UID]
    assert not (receiver.store.root / "conflicts").exists()


def test_other_bytes_under_the_same_uid_never_replace_the_first(receiver: Receiver) -> None:
    first = data_set(UID)
    sent(receiver, UID, first)
    assert sent(receiver, UID, data_set(UID, ImageLaterality="R")) == 0x0000
    assert receiver.store.resolve(receiver.rows()[UID].path).read_bytes().endswith(first)
    assert len(list((receiver.store.root / "conflicts").iterdir())) == 1


REFUSED = {
    "another instance than the command says": (UID, data_set("1.2.3.9"), {}, 0xA900),
    "path traversal in the UID": ("../../x", data_set(UID), {}, 0xA900),
    "a UID of 65 characters": ("1." + "2" * 63, data_set(UID), {}, 0xA900),
    "an empty data set": (UID, b"", {}, 0xC000),
    "garbage": (UID, bytes(range(256)) * 40, {}, 0xC000),
    "no study": (UID, data_set(UID, StudyInstanceUID=""), {}, 0xC000),
    "path traversal in the study": (UID, data_set(UID, StudyInstanceUID="../../../x"), {}, 0xC000),
    "another SOP class than the context": (UID, data_set(UID), {"sop_class_uid": "1.2.3"}, 0x0122),
    "a command that is not C-STORE": (UID, data_set(UID), {"command_field": 0x20}, 0x0211),
}


@pytest.mark.parametrize(("uid", "data", "request_", "status"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_input_gets_its_status_and_does_no_harm(
    receiver: Receiver, uid: str, data: bytes, request_: dict[str, object], status: int
) -> None:
    with Sender(receiver.port) as sender:
        sender.associate()
        assert sender.store(uid, data, **request_) == status
        assert sender.store("1.2.77", data_set("1.2.77")) == 0x0000
    assert list(receiver.rows()) == ["1.2.77"]
    assert receiver.parts() == []
    assert {path.name for path in receiver.store.root.iterdir()} <= {
        "incoming",
        "instances",
        "locks",
        "test.sqlite",
        "test.sqlite-wal",
        "test.sqlite-shm",
    }


def test_an_instance_of_the_verification_class_is_refused(receiver: Receiver) -> None:
    with Sender(receiver.port) as sender:
        sender.associate(abstract_syntaxes=(VERIFICATION,))
        assert sender.store(UID, data_set(UID, SOPClassUID=VERIFICATION), sop_class_uid=VERIFICATION) == 0x0122
    assert receiver.rows() == {}


def test_a_store_without_a_data_set_is_answered_at_once(receiver: Receiver) -> None:
    with Sender(receiver.port) as sender:
        sender.associate()
        sender.send(p_data(pdv(command(0x0001, MG, UID, has_data_set=False), command=True, last=True)))
        assert sender.status() == 0xC000
        assert sender.store(UID, data_set(UID)) == 0x0000


@pytest.mark.parametrize("field", [0x0010, 0x0020, 0x0021, 0x0110, 0x0120, 0x0140, 0x0150])
def test_every_other_operation_is_not_recognized(receiver: Receiver, field: int) -> None:
    with Sender(receiver.port) as sender:
        sender.associate()
        sender.send(p_data(pdv(command(field, MG, UID, has_data_set=False), command=True, last=True)))
        assert sender.status() == 0x0211


def test_a_cancel_is_not_answered(receiver: Receiver) -> None:
    cancel = element(0x0100, b"\xff\x0f") + element(0x0120, b"\1\0") + element(0x0800, b"\1\1")
    with Sender(receiver.port) as sender:
        sender.associate()
        sender.send(p_data(pdv(cancel, command=True, last=True)))
        assert sender.store(UID, data_set(UID)) == 0x0000


def test_a_refusal_has_a_comment_in_plain_words(receiver: Receiver) -> None:
    sent(receiver, UID, data_set("1.2.3.9"))
    ((event, detail),) = receiver.refused
    assert event == "instance_refused"
    assert "differs from the command" in str(detail["reason"])
    assert detail["address"] == "127.0.0.1"


def test_a_disk_with_too_little_space_answers_out_of_resources(tmp_path: Path) -> None:
    with running_receiver(tmp_path / "root", minimum_free_bytes=1 << 60) as receiver:
        assert sent(receiver, UID, data_set(UID)) == 0xA700
        assert receiver.rows() == {}


def test_a_refusal_names_the_missing_share_as_its_cause(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    write_marker(root, "1" * 32)
    with running_receiver(root) as receiver:
        root.rename(tmp_path / "away")
        root.mkdir()
        assert sent(receiver, UID, data_set(UID)) == 0x0110
        ((_, detail),) = receiver.refused
        assert detail["reason"] == "storage.root is away: is its share mounted? Send it again later"
        assert len(str(detail["reason"])) <= 64
        assert list(root.iterdir()) == []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, 5000), max_size=12), together=st.booleans())
def test_a_data_set_arrives_complete_however_it_is_fragmented(
    receiver: Receiver, cuts: list[int], together: bool
) -> None:
    uid = f"1.2.8.{hashlib.sha256(repr((cuts, together)).encode()).digest()[0] + sum(cuts) * 1000}"
    data = data_set(uid, pixel_bytes=5000)
    edges = sorted({0, *[cut for cut in cuts if cut < len(data)], len(data)})
    pieces = [data[start:end] for start, end in itertools.pairwise(edges)]
    values = [pdv(store_rq(uid), command=True, last=True)]
    values += [pdv(piece, command=False, last=number == len(pieces)) for number, piece in enumerate(pieces, 1)]
    with Sender(receiver.port) as sender:
        sender.associate()
        sender.send(p_data(*values) if together else b"".join(p_data(value) for value in values))
        assert sender.status() == 0x0000
    assert receiver.store.resolve(receiver.rows()[uid].path).read_bytes().endswith(data)


def test_a_command_in_pieces_and_pipelined_requests_are_answered_in_order(receiver: Receiver) -> None:
    command = store_rq(UID)
    message = p_data(pdv(command[:20], command=True, last=False), pdv(command[20:], command=True, last=True))
    message += p_data(pdv(data_set(UID), command=False, last=True))
    echo = p_data(pdv(echo_rq(), command=True, last=True, context_id=3))
    with Sender(receiver.port) as sender:
        sender.associate(abstract_syntaxes=(MG, VERIFICATION))
        sender.send(echo + message + echo)
        assert [sender.status() for _ in range(3)] == [0x0000, 0x0000, 0x0000]


def test_eight_concurrent_senders_lose_nothing(receiver: Receiver) -> None:
    def send(number: int) -> None:
        with Sender(receiver.port) as sender:
            sender.associate()
            for count in range(10):
                uid = f"1.2.9.{number}.{count}"
                assert sender.store(uid, data_set(uid, pixel_bytes=50_000)) == 0x0000

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receiver.rows()) == 80
    assert all(receiver.store.resolve(row.path).is_file() for row in receiver.rows().values())


def test_every_compressed_syntax_comes_before_the_uncompressed_ones() -> None:
    uncompressed = [TRANSFER_SYNTAXES.index(uid) for uid in ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")]
    compressed = [number for number, uid in enumerate(TRANSFER_SYNTAXES) if ".1.2.4." in uid]
    assert max(compressed) < min(uncompressed)


@needs_shared_data
@pytest.mark.shared_data
def test_malformed_files_are_kept_or_refused_and_the_node_keeps_running(receiver: Receiver) -> None:
    assert SHARED is not None
    files = sorted((SHARED / "data" / "dicom" / "malformed").iterdir())
    assert files
    for number, path in enumerate(files):
        status = sent(receiver, f"1.2.10.{number + 1}", path.read_bytes(), sop_class_uid=MG)
        assert status in (0xC000, 0xA900), path.name
    assert sent(receiver, UID, data_set(UID)) == 0x0000


def test_a_second_patient_in_a_study_is_marked_and_both_are_kept(receiver: Receiver) -> None:
    sent(receiver, "1.2.11.1", data_set("1.2.11.1", PatientID="A"))
    sent(receiver, "1.2.11.2", data_set("1.2.11.2", PatientID="B"))
    marks = {uid: row.attributes["patient_mismatch"] for uid, row in receiver.rows().items()}
    assert marks == {"1.2.11.1": False, "1.2.11.2": True}
