"""Odd data sets are kept unless that does harm; where storescp keeps more, CONFORMANCE.md states the reason."""

import subprocess
from pathlib import Path

import pytest

from tests.integration.scp.conftest import Receiver
from tests.integration.scp.odd_data_sets import ODD, Encoded
from tests.integration.scp.raw import Sender
from tests.peers import PEERS
from tests.ports import free_port
from tests.waiting import wait_for_listener

NO_UID, MISMATCH, UNREADABLE = 0xC000, 0xA900, 0xC000
REFUSED = {
    "an empty study UID": NO_UID,
    "no study UID": NO_UID,
    "no series UID": NO_UID,
    "a study UID with letters": NO_UID,
    "a study UID of 80 characters": NO_UID,
    "an instance UID with letters": MISMATCH,
    "no SOP class": MISMATCH,
    "no SOP instance": MISMATCH,
    "another SOP class": MISMATCH,
    "another SOP instance": MISMATCH,
    "cut in a value": UNREADABLE,
    "cut in a header": UNREADABLE,
    "cut in the pixel data": UNREADABLE,
    "cut in a sequence": UNREADABLE,
    "a value longer than the data set": UNREADABLE,
    "garbage of three bytes at the end": UNREADABLE,
    "garbage of 33 bytes at the end": UNREADABLE,
    "a sequence without its delimitation, at the end": UNREADABLE,
    "deflated with a zlib header": UNREADABLE,
    "a file instead of a data set": UNREADABLE,
    "nothing": UNREADABLE,
    "garbage": UNREADABLE,
    "zeros": UNREADABLE,
}
KEPT_BY_STORESCP_ALONE = {
    # Without a study, or without a UID that can be a file name (CONFORMANCE.md section 2.3)
    "an empty study UID",
    "no study UID",
    "no series UID",
    "a study UID with letters",
    "a study UID of 80 characters",
    "an instance UID with letters",
    # Truncated: a complete copy sent later would be a second version under the same UID
    "cut in a header",
    "cut in a sequence",
}


def status_of(port: int, one: Encoded) -> int:
    """Send a C-STORE; return its status, or -1 if the association is aborted."""
    with Sender(port) as sender:
        assert sender.associate(abstract_syntaxes=(one.sop_class_uid,), transfer_syntax=one.transfer_syntax_uid) == 2
        try:
            return sender.store(one.instance_uid, one.data, sop_class_uid=one.sop_class_uid)
        except (AssertionError, OSError):
            return -1


@pytest.mark.filterwarnings("default:Invalid value for VR UI")
def test_an_odd_data_set_is_kept_unless_it_is_cut_or_lacks_uids(receiver: Receiver) -> None:
    statuses = {name: status_of(receiver.port, one) for name, one in ODD.items()}
    assert {name: status for name, status in statuses.items() if status} == REFUSED
    assert receiver.parts() == []


@pytest.mark.peer("dcmtk")
def test_the_node_keeps_what_storescp_keeps(tmp_path: Path) -> None:
    port = free_port()
    command = [str(PEERS["dcmtk"].program.with_name("storescp")), "+xa", "-od", str(tmp_path), str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_listener(port)
        kept = {name for name, one in ODD.items() if status_of(port, one) == 0x0000}
    finally:
        process.terminate()
        process.wait(10)
    assert kept & set(REFUSED) == KEPT_BY_STORESCP_ALONE
    assert len(kept) > 50
