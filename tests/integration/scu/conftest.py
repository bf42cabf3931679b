"""Peers that misbehave, and objects to send to them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

from glam_node.node.domain.ports import OutgoingInstance
from glam_node.node.scu.association import RemoteAE
from tests.integration.archive import Archive

SEGMENTATION_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"
COMPREHENSIVE_SR_STORAGE = "1.2.840.10008.5.1.4.1.1.88.33"

Outgoing = Callable[..., OutgoingInstance]


@pytest.fixture
def outgoing(tmp_path: Path) -> Outgoing:
    """Return a function that writes one small result object."""

    def write(
        sop_class_uid: str = COMPREHENSIVE_SR_STORAGE, transfer_syntax_uid: str = ExplicitVRLittleEndian
    ) -> OutgoingInstance:
        dataset = Dataset()
        dataset.SOPClassUID = sop_class_uid
        dataset.SOPInstanceUID = generate_uid()
        dataset.ContentLabel = "RESEARCH"
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax_uid)
        path = tmp_path / f"{dataset.SOPInstanceUID}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        return OutgoingInstance(sop_class_uid, dataset.SOPInstanceUID, transfer_syntax_uid, path)

    return write


def peer_at(port: int, *, ae_title: str = "ARCHIVE", timeout: float = 10.0, calling: str = "GLAMNODE") -> RemoteAE:
    """Return the peer of [destinations.archive] on this machine."""
    return RemoteAE("archive", ae_title, "127.0.0.1", port, timeout, calling)


@pytest.fixture
def peer(archive: Archive) -> RemoteAE:
    """Return the archive as the settings describe it."""
    return peer_at(archive.port)
