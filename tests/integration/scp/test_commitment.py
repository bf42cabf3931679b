"""Requests and replies of storage commitment are recorded before they are answered, or refused with the reason."""

import warnings
from collections.abc import Iterator

import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom import build_role
from pynetdicom.association import Association
from sqlalchemy import select

from glam_node.node.db.tables import CommitmentRequestRow
from glam_node.node.domain.commitment import PUSH_MODEL, PUSH_MODEL_INSTANCE, CommitmentReply, Failure, Reference
from glam_node.node.scp.association import LONGEST_DATA_SET
from glam_node.node.scu.requesting_ae import RequestingAE
from glam_node.node.workflow.deliver.commitment_data_sets import report_data_set, request_data_set
from tests.data_sets import MG, encode
from tests.integration.scp.conftest import Receiver
from tests.integration.scp.raw import Sender, command, p_data, pdv

IMAGE = Reference(MG, "2.25.1")


def calling(receiver: Receiver, ae_title: str = "DCMTK", syntax: str = ExplicitVRLittleEndian) -> Association:
    ae = RequestingAE(ae_title)
    ae.add_requested_context(PUSH_MODEL, syntax)
    role = build_role(PUSH_MODEL, scp_role=True, scu_role=True)
    association = ae.associate("127.0.0.1", receiver.port, ae_title="GLAMNODE", ext_neg=[role])
    assert association.is_established
    return association


@pytest.fixture
def peer(receiver: Receiver) -> Iterator[Association]:
    association = calling(receiver)
    yield association
    association.release()


def asked(peer: Association, data_set: Dataset, *, action: int = 1, instance: str = PUSH_MODEL_INSTANCE) -> Dataset:
    answer, _ = peer.send_n_action(data_set, action, PUSH_MODEL, instance)
    return answer


def requests(receiver: Receiver) -> list[CommitmentRequestRow]:
    with receiver.sessions() as session:
        return list(session.scalars(select(CommitmentRequestRow)))


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_request_is_recorded_before_it_is_answered(receiver: Receiver, syntax: str) -> None:
    uid, association = generate_uid(prefix=None), calling(receiver, syntax=syntax)
    assert asked(association, request_data_set(uid, [IMAGE])).Status == 0x0000
    (row,) = requests(receiver)
    assert (row.calling_ae_title, row.transaction_uid, row.instances) == ("DCMTK", uid, [[MG, "2.25.1"]])
    association.release()


def test_a_repeated_request_is_recorded_once(receiver: Receiver, peer: Association) -> None:
    data_set = request_data_set("2.25.5", [IMAGE])
    assert [asked(peer, data_set).Status for _ in range(2)] == [0x0000] * 2
    assert len(requests(receiver)) == 1


def test_thousands_of_instances_fit_into_a_request(receiver: Receiver, peer: Association) -> None:
    references = [Reference(MG, f"2.25.{number}") for number in range(2000)]
    assert asked(peer, request_data_set("2.25.5", references)).Status == 0x0000
    assert len(requests(receiver)[0].instances) == 2000


def without_references() -> Dataset:
    data_set = Dataset()
    data_set.TransactionUID = "2.25.5"
    return data_set


def with_a_wrong_uid() -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return request_data_set("../2", [IMAGE])


BAD = [
    (without_references(), 0x0115, "names no instance"),
    (with_a_wrong_uid(), 0x0115, "TransactionUID is missing or is not a UID"),
    (request_data_set("2.25.5", [Reference("", "2.25.1")]), 0x0115, "ReferencedSOPClassUID is missing"),
]


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize(("data_set", "status", "comment"), BAD)
def test_a_request_without_valid_references_is_refused(
    receiver: Receiver, peer: Association, data_set: Dataset, status: int, comment: str
) -> None:
    answer = asked(peer, data_set)
    assert answer.Status == status
    assert comment in answer.ErrorComment
    assert requests(receiver) == []


def test_unknown_actions_and_instances_are_refused(peer: Association) -> None:
    data_set = request_data_set("2.25.5", [IMAGE])
    assert asked(peer, data_set, action=2).Status == 0x0123
    assert asked(peer, data_set, instance="1.2.3").Status == 0x0112


def test_the_refusal_of_a_peer_that_cannot_be_called_names_the_missing_setting(receiver: Receiver) -> None:
    association = calling(receiver, "PYNETDICOM")
    answer = asked(association, request_data_set("2.25.5", [IMAGE]))
    association.release()
    assert (answer.Status, requests(receiver)) == (0x0110, [])
    assert "set peers.NAME.destination" in answer.ErrorComment


def test_a_reply_without_a_request_is_refused_and_does_no_harm(peer: Association) -> None:
    report = CommitmentReply("2.25.6", [IMAGE], [Failure(IMAGE, 0x0112)])
    answer, _ = peer.send_n_event_report(report_data_set(report), 2, PUSH_MODEL, PUSH_MODEL_INSTANCE)
    assert answer.Status == 0x0110
    answer, _ = peer.send_n_event_report(report_data_set(report), 3, PUSH_MODEL, PUSH_MODEL_INSTANCE)
    assert answer.Status == 0x0113


def test_a_request_without_end_is_refused_and_takes_no_memory(receiver: Receiver) -> None:
    references = [Reference(MG, f"2.25.{10**30 + number}") for number in range(60_000)]
    encoded = encode(request_data_set("2.25.5", references))
    assert len(encoded) > LONGEST_DATA_SET
    with Sender(receiver.port) as sender:
        sender.associate(abstract_syntaxes=(PUSH_MODEL,))
        request = command(0x0130, PUSH_MODEL, PUSH_MODEL_INSTANCE, action=1)
        sender.send(p_data(pdv(request, command=True, last=True)))
        for start in range(0, len(encoded), 16_000):
            is_last = start + 16_000 >= len(encoded)
            sender.send(p_data(pdv(encoded[start : start + 16_000], command=False, last=is_last)))
        assert sender.status() == 0x0213
    assert requests(receiver) == []
