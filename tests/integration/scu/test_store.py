"""Storage of results in an archive: they arrive unchanged, and every answer is read."""

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    RLELossless,
)
from pynetdicom import build_context

from glam_node.node.domain.ports import OutgoingInstance
from glam_node.node.scu.association import RemoteAE
from glam_node.node.scu.store import CStoreDestination
from tests.integration.archive import Archive, listening, warning
from tests.integration.scu.conftest import COMPREHENSIVE_SR_STORAGE, SEGMENTATION_STORAGE, Outgoing, peer_at


def test_instances_arrive_in_order_in_one_association(archive: Archive, peer: RemoteAE, outgoing: Outgoing) -> None:
    instances = [outgoing(SEGMENTATION_STORAGE), outgoing(), outgoing(SEGMENTATION_STORAGE)]
    outcomes = CStoreDestination(peer).store(instances)
    assert [(outcome.sop_instance_uid, outcome.stored, outcome.status) for outcome in outcomes] == [
        (instance.sop_instance_uid, True, 0) for instance in instances
    ]
    assert archive.uids() == [instance.sop_instance_uid for instance in instances]
    assert len({received.association for received in archive.received}) == 1


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLosslessSV1])
def test_a_file_is_sent_as_it_lies_on_disk(syntax: str, archive: Archive, peer: RemoteAE, outgoing: Outgoing) -> None:
    instance = outgoing(transfer_syntax_uid=syntax)
    CStoreDestination(peer, [syntax]).store([instance])
    received = archive.received[0]
    assert received.transfer_syntax_uid == syntax
    assert instance.path.read_bytes().endswith(received.encoded)


def test_an_archive_that_takes_only_implicit_vr_gets_implicit_vr(outgoing: Outgoing) -> None:
    instance = outgoing(transfer_syntax_uid=ExplicitVRLittleEndian)
    with listening(Archive(contexts=[build_context(COMPREHENSIVE_SR_STORAGE, ImplicitVRLittleEndian)])) as archive:
        [outcome] = CStoreDestination(peer_at(archive.port)).store([instance])
    assert outcome.stored
    assert archive.received[0].transfer_syntax_uid == ImplicitVRLittleEndian
    assert archive.received[0].dataset() == dcmread(instance.path)


def test_a_class_that_the_archive_does_not_take_fails_alone_and_for_good(outgoing: Outgoing) -> None:
    report, segmentation = outgoing(), outgoing(SEGMENTATION_STORAGE)
    with listening(Archive(contexts=[build_context(COMPREHENSIVE_SR_STORAGE)])) as archive:
        refused, stored = CStoreDestination(peer_at(archive.port)).store([segmentation, report])
    assert stored.stored
    assert not refused.stored
    assert not refused.transient
    assert "accepts none of: Segmentation Storage" in refused.failure
    assert "destinations.archive.results" in refused.failure


@pytest.mark.parametrize(
    ("status", "stored", "transient", "words"),
    [
        (0xB000, True, False, ""),
        (0xB006, True, False, ""),
        (0xB007, True, False, ""),
        (0x0111, True, False, ""),
        (0xA700, False, True, "answered 0xA700 (out of resources)"),
        (0xA7FF, False, True, "answered 0xA7FF (out of resources)"),
        (0x0110, False, True, "processing failure"),
        (0x0122, False, False, "Have the archive accept it, or take it out of destinations.archive.results."),
        (0x0124, False, False, "Allow GLAMNODE at the archive to store objects."),
        (0xA900, False, False, "data set does not match SOP class"),
        (0xC001, False, False, "cannot understand"),
        (0xD123, False, True, "unknown status"),
    ],
)
def test_the_status_decides_what_happens_next(
    status: int, stored: bool, transient: bool, words: str, archive: Archive, peer: RemoteAE, outgoing: Outgoing
) -> None:
    archive.statuses = [status]
    [outcome] = CStoreDestination(peer).store([outgoing()])
    assert (outcome.stored, outcome.transient, outcome.status) == (stored, transient, status)
    assert words in outcome.failure


def test_every_instance_has_its_own_answer(archive: Archive, peer: RemoteAE, outgoing: Outgoing) -> None:
    archive.statuses = [0x0000, 0xA700, 0xC000, 0x0000]
    outcomes = CStoreDestination(peer).store([outgoing() for _ in range(4)])
    assert [outcome.stored for outcome in outcomes] == [True, False, False, True]


def test_the_rest_is_tried_again_after_an_abort(archive: Archive, peer: RemoteAE, outgoing: Outgoing) -> None:
    archive.abort_after = 1
    outcomes = CStoreDestination(peer).store([outgoing() for _ in range(3)])
    assert [outcome.stored for outcome in outcomes] == [True, False, False]
    assert [outcome.transient for outcome in outcomes] == [False, True, True]
    assert "ended the association without an answer to C-STORE" in outcomes[1].failure


def test_an_archive_that_is_down_is_transient_for_every_instance(outgoing: Outgoing) -> None:
    with listening(Archive()) as archive:
        port = archive.port
    outcomes = CStoreDestination(peer_at(port)).store([outgoing(), outgoing()])
    assert [(outcome.stored, outcome.transient, outcome.status) for outcome in outcomes] == [(False, True, None)] * 2


def test_results_wait_while_the_archive_does_not_know_the_node(outgoing: Outgoing) -> None:
    with listening(Archive(calling_ae_titles=["OTHER"])) as archive:
        [outcome] = CStoreDestination(peer_at(archive.port)).store([outgoing()])
    assert (outcome.stored, outcome.transient) == (False, True)
    assert "Register GLAMNODE at the archive" in outcome.failure


def test_a_file_that_is_away_fails_alone_and_is_tried_again(
    archive: Archive, peer: RemoteAE, outgoing: Outgoing
) -> None:
    gone, there = outgoing(), outgoing()
    gone.path.unlink()
    lost, stored = CStoreDestination(peer).store([gone, there])
    assert stored.stored
    assert lost.transient
    assert "No such file" in lost.failure


def test_an_archive_that_takes_longer_than_its_timeout_over_an_object_is_waited_for(outgoing: Outgoing) -> None:
    with listening(Archive()) as archive:
        archive.delay_s = 1.0
        outcomes = CStoreDestination(peer_at(archive.port, timeout=0.3)).store([outgoing(), outgoing()])
    assert [outcome.stored for outcome in outcomes] == [True, True]


def test_an_archive_that_does_not_answer_is_given_up_in_the_end_and_the_setting_is_named(outgoing: Outgoing) -> None:
    with listening(Archive()) as archive:
        archive.delay_s = 4.0
        [first, second] = CStoreDestination(peer_at(archive.port, timeout=0.2)).store([outgoing(), outgoing()])
    assert first.transient
    assert "gave no answer within 2" in first.failure
    assert "raise destinations.archive.timeout" in first.failure
    assert (first.reached, first.broke_off, second.reached) == (True, True, False)


def test_the_first_object_alone_is_blamed_for_the_end_of_an_association(archive: Archive, outgoing: Outgoing) -> None:
    archive.abort_on = frozenset({SEGMENTATION_STORAGE})
    destination = CStoreDestination(peer_at(archive.port))
    first, *rest = destination.store([outgoing(SEGMENTATION_STORAGE), outgoing(), outgoing()])
    assert (first.broke_off, first.transient, [one.reached for one in rest]) == (True, True, [False, False])
    stored, *rest = destination.store([outgoing(), outgoing(SEGMENTATION_STORAGE), outgoing()])
    assert (stored.stored, [(one.reached, one.broke_off) for one in rest]) == (True, [(False, False)] * 2)


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007, 0x0107])
def test_a_warning_is_kept_with_its_comment(archive: Archive, outgoing: Outgoing, status: int) -> None:
    archive.statuses = [warning(status, "Study Description coerced")]
    [outcome] = CStoreDestination(peer_at(archive.port)).store([outgoing()])
    assert outcome.stored
    assert outcome.warning.startswith(f"0x{status:04X} (stored, ")
    assert outcome.warning.endswith("): Study Description coerced")


@pytest.mark.parametrize("comment", ["ID PID-77 is another", "see testfrau", "born 19600102"])
def test_a_comment_that_names_the_patient_is_left_out(archive: Archive, outgoing: Outgoing, comment: str) -> None:
    instance = outgoing()
    dataset = dcmread(instance.path)
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "Testfrau^Anna", "PID-77", "19600102"
    dataset.save_as(instance.path)
    archive.statuses = [warning(0xB000, comment)]
    [outcome] = CStoreDestination(peer_at(archive.port)).store([instance])
    assert outcome.warning == "0xB000 (stored, elements coerced): its comment names the patient and is left out"


def test_an_empty_list_opens_no_association(outgoing: Outgoing) -> None:
    assert CStoreDestination(peer_at(1)).store([]) == []


def image(outgoing: Outgoing, bits: int) -> OutgoingInstance:
    """Return an image with this number of bits for each pixel."""
    instance = outgoing(SEGMENTATION_STORAGE)
    dataset = dcmread(instance.path)
    for keyword, value in {"Rows": 8, "Columns": 16, "SamplesPerPixel": 1, "PixelRepresentation": 0}.items():
        setattr(dataset, keyword, value)
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelData = bytes(8 * 16 * bits // 8)
    dataset["PixelData"].VR = "OB"
    dataset.save_as(instance.path, enforce_file_format=True)
    return instance


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, RLELossless])
def test_an_image_arrives_in_the_preferred_syntax_with_the_same_pixels(syntax: str, outgoing: Outgoing) -> None:
    sent = image(outgoing, 8)
    with listening(
        Archive(contexts=[build_context(SEGMENTATION_STORAGE, [ExplicitVRLittleEndian, syntax])])
    ) as archive:
        [outcome] = CStoreDestination(peer_at(archive.port), [syntax, ExplicitVRLittleEndian]).store([sent])
    [received] = archive.received
    assert (outcome.stored, received.transfer_syntax_uid) == (True, syntax)
    assert received.dataset().SOPInstanceUID == sent.sop_instance_uid
    assert np.array_equal(received.dataset().pixel_array, dcmread(sent.path).pixel_array)


def test_transfer_syntaxes_that_do_not_suit_an_object_are_skipped(outgoing: Outgoing) -> None:
    instances = [image(outgoing, 1), outgoing()]
    with listening(Archive()) as archive:
        outcomes = CStoreDestination(peer_at(archive.port), [RLELossless, ExplicitVRLittleEndian]).store(instances)
    assert all(outcome.stored for outcome in outcomes)
    assert {received.transfer_syntax_uid for received in archive.received} == {ExplicitVRLittleEndian}


def test_a_refused_class_is_told_from_other_failures(archive: Archive, outgoing: Outgoing) -> None:
    with listening(Archive(contexts=[build_context(SEGMENTATION_STORAGE)])) as picky:
        alone, beside = outgoing(), [outgoing(), outgoing(SEGMENTATION_STORAGE)]
        destination = CStoreDestination(peer_at(picky.port))
        assert [outcome.sop_class_refused for outcome in destination.store([alone])] == [True]
        assert [outcome.sop_class_refused for outcome in destination.store(beside)] == [True, False]
    archive.statuses = [0x0122, 0xA900]
    outcomes = CStoreDestination(peer_at(archive.port)).store([outgoing(), outgoing()])
    assert [outcome.sop_class_refused for outcome in outcomes] == [True, False]
