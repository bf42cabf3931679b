"""The contract of `Source`, which every kind of source keeps, with Orthanc and DCMTK's dcmqrscp as archives."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation

from glam_node.node.bootstrap.base_node import open_base_node
from glam_node.node.bootstrap.sources import built_source, study_fetcher
from glam_node.node.domain.archived import StudyQuery
from glam_node.node.errors import NodeError, TransientError
from glam_node.node.scu import dicomweb
from glam_node.node.workflow.receive import fetch_study
from glam_node.settings.load import validated
from glam_node.settings.schema import Settings
from glam_node.settings.sources import SOURCES_BY_KIND
from tests.integration.modality import send, small_exam
from tests.integration.scp.conftest import Receiver, running_receiver
from tests.peers import PEERS
from tests.ports import free_port
from tests.system.orthanc import Orthanc
from tests.waiting import wait_for_listener, wait_until

KINDS = list(SOURCES_BY_KIND)
PATIENT = "AE 12"
ELSEWHERE = "ÄÖ 12"
"""A Patient ID outside of ASCII."""

pytestmark = [pytest.mark.peer("orthanc"), pytest.mark.peer("orthanc-dicomweb"), pytest.mark.timeout(300)]


def views_of(seed: int, patient_id: str, date: str = "20230405") -> list[Dataset]:
    """Return four views of a patient."""
    views = small_exam(seed)
    for view in views:
        view.SpecificCharacterSet = "ISO_IR 100"
        view.PatientID, view.StudyDate, view.AccessionNumber = patient_id, date, f"A-{seed}"
    return views


EXAMS = [views_of(21, PATIENT), views_of(22, "other"), views_of(23, PATIENT, "20250607"), views_of(24, ELSEWHERE)]


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """Yield a receiver that the archives send to."""
    from glam_node.settings.peers import PeerSettings

    peers = {title: PeerSettings(ae_title=title) for title in ("ORTHANC", "DCMQRSCP")}
    with running_receiver(tmp_path_factory.mktemp("receiver"), peers=peers, ae_title="GLAMNODE") as running:
        yield running


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Orthanc]:
    """Yield an Orthanc with four exams, to which the receiver is known."""
    directory = tmp_path_factory.mktemp("orthanc")
    archive = Orthanc(directory, free_port(), free_port(), plugins=(PEERS["orthanc-dicomweb"].program,))
    archive.more = {
        "DicomAlwaysAllowGet": True,
        "DicomModalities": {"node": ["GLAMNODE", "127.0.0.1", receiver.port]},
    }
    archive.start()
    try:
        for exam in EXAMS:
            send(archive.dicom_port, exam, "ORTHANC")
        yield archive
    finally:
        archive.kill()


def source_of(kind: str, orthanc: Orthanc, **more: Any) -> dict[str, Any]:
    """Return the settings of a source of this kind at Orthanc."""
    where = {"kind": kind, "host": "127.0.0.1", "timeout": 10.0}
    web = {"port": orthanc.http_port}
    return {**where, **(web if kind == "dicomweb" else {"port": orthanc.dicom_port, "ae_title": "ORTHANC"}), **more}


def settings_of(source: dict[str, Any], root: Path) -> Settings:
    """Return the settings of a node with this source as `x`."""
    storage = {"root": str(root), "minimum_free_bytes": 0}
    return validated({"storage": storage, "sources": {"x": source}})


def uid_of(number: int) -> str:
    """Return the Study Instance UID of an exam."""
    return str(EXAMS[number][0].StudyInstanceUID)


@pytest.mark.parametrize("kind", KINDS)
def test_studies_are_found_and_described(kind: str, orthanc: Orthanc, tmp_path: Path) -> None:
    source = built_source("x", settings_of(source_of(kind, orthanc), tmp_path))
    found = source.find_studies(StudyQuery(patient_id=PATIENT, modality="MG"))
    assert [one.study_instance_uid for one in found.studies] == [uid_of(2), uid_of(0)]
    newest = found.studies[0]
    assert (newest.patient_id, newest.accession_number, newest.study_date) == (PATIENT, "A-23", "20250607")
    assert newest.modalities == ("MG",)
    for query in (StudyQuery(patient_id=PATIENT, date_to="20231231"), StudyQuery(accession_number="A-21")):
        assert [one.study_instance_uid for one in source.find_studies(query).studies] == [uid_of(0)]
    assert source.find_studies(StudyQuery(patient_id="nobody")).studies == ()
    (elsewhere,) = source.find_studies(StudyQuery(patient_id=ELSEWHERE)).studies
    assert (elsewhere.study_instance_uid, elsewhere.patient_id) == (uid_of(3), ELSEWHERE)
    cut = source.find_studies(StudyQuery(date_from="20000101", limit=2))
    assert (len(cut.studies), cut.is_cut) == (2, True)


@pytest.mark.parametrize("kind", KINDS)
def test_the_images_of_a_study_are_listed(kind: str, orthanc: Orthanc, tmp_path: Path) -> None:
    source = built_source("x", settings_of(source_of(kind, orthanc), tmp_path))
    (study,) = source.find_studies(StudyQuery(accession_number="A-21")).studies
    listed = [uid for series in source.list_series(study) for uid in series.sop_instance_uids]
    assert sorted(listed) == sorted(str(view.SOPInstanceUID) for view in EXAMS[0])
    other = built_source("x", settings_of(source_of(kind, orthanc, modalities=["MR"]), tmp_path))
    assert other.list_series(study) == []


@pytest.mark.parametrize("kind", ["c-get", "dicomweb"])
def test_a_study_is_stored_with_the_pixels_of_the_archive(kind: str, orthanc: Orthanc, tmp_path: Path) -> None:
    from pydicom import dcmread

    node = open_base_node(settings_of(source_of(kind, orthanc), tmp_path))
    with study_fetcher("x", node) as fetcher:
        source = built_source("x", node.settings)
        (study,) = source.find_studies(StudyQuery(accession_number="A-21")).studies
        seen: list[tuple[int, int]] = []
        outcome = fetcher.fetch(study, lambda done, total: seen.append((done, total)))
        again = fetcher.fetch(study)
    node.sessions.kw["bind"].dispose()
    assert (outcome.stored, outcome.new, outcome.failures) == (4, 4, ())
    assert (again.stored, again.new) == (4, 0)
    assert seen[-1] == (4, 4)
    kept = {path.stem: dcmread(path) for path in (tmp_path / "instances").rglob("*.dcm")}
    for view in EXAMS[0]:
        assert kept[str(view.SOPInstanceUID)].PixelData == view.PixelData
        assert kept[str(view.SOPInstanceUID)].PatientID == PATIENT


def test_an_archive_moves_a_study_to_the_receiver(orthanc: Orthanc, receiver: Receiver, tmp_path: Path) -> None:
    source = built_source("x", settings_of(source_of("c-move", orthanc), tmp_path))
    (study,) = source.find_studies(StudyQuery(accession_number="A-22")).studies
    assert source.retrieve(study, source.list_series(study), lambda _: None, lambda: None) == []
    wanted = {str(view.SOPInstanceUID) for view in EXAMS[1]}
    wait_until(lambda: wanted <= receiver.rows().keys())
    assert {receiver.rows()[uid].calling_ae_title for uid in wanted} == {"ORTHANC"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_working_source_is_confirmed_and_one_that_is_down_is_not(kind: str, orthanc: Orthanc, tmp_path: Path) -> None:
    assert "answers" in built_source("x", settings_of(source_of(kind, orthanc), tmp_path)).check()
    down = built_source("x", settings_of(source_of(kind, orthanc, port=free_port()), tmp_path))
    for ask in (down.check, lambda: down.find_studies(StudyQuery(patient_id="P"))):
        with pytest.raises(TransientError, match=r"Is it running\? Check sources\.x\.host and sources\.x\.port"):
            ask()


def test_a_web_server_is_read_page_by_page(orthanc: Orthanc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicomweb, "PAGE", 1)
    source = built_source("x", settings_of(source_of("dicomweb", orthanc), tmp_path))
    found = source.find_studies(StudyQuery(date_from="20000101"))
    assert {one.study_instance_uid for one in found.studies} == {uid_of(number) for number in range(4)}
    (study,) = (one for one in found.studies if one.study_instance_uid == uid_of(0))
    assert sum(series.expected for series in source.list_series(study)) == 4


def test_a_web_service_at_another_path_is_named(orthanc: Orthanc, tmp_path: Path) -> None:
    source = built_source("x", settings_of(source_of("dicomweb", orthanc, service_path="/elsewhere"), tmp_path))
    with pytest.raises(NodeError, match=r"answered 404\. Check sources\.x\.service_path"):
        source.check()
    page = built_source(
        "x", settings_of(source_of("dicomweb", orthanc, service_path="/app/explorer.html#"[:-1]), tmp_path)
    )
    with pytest.raises(NodeError, match=r"sources\.x\."):
        page.check()


@contextmanager
def dcmqrscp(directory: Path, receiver: Receiver) -> Iterator[int]:
    """Run DCMTK's archive, which knows the receiver, and yield its port."""
    port = free_port()
    (directory / "store").mkdir(parents=True)
    (directory / "dcmqrscp.cfg").write_text(
        f"""
NetworkTCPPort = {port}
MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
node = (GLAMNODE, 127.0.0.1, {receiver.port})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
DCMQRSCP {directory / "store"} RW (100, 1024mb) ANY
AETable END
"""
    )
    log = (directory / "log").open("wb")
    process = subprocess.Popen(["/usr/bin/dcmqrscp", "-c", directory / "dcmqrscp.cfg", "-v"], stdout=log, stderr=log)
    try:
        wait_for_listener(port)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)
        log.close()


@pytest.mark.peer("dcmtk")
@pytest.mark.parametrize("kind", ["c-move", "c-get"])
def test_dcmtk_archive_is_queried_and_sends(
    kind: str, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_study, "ARRIVAL_S", 1.0)
    exam = views_of(31 if kind == "c-get" else 32, "P-31")
    assert {view.SOPClassUID for view in exam} == {DigitalMammographyXRayImageStorageForPresentation}
    with dcmqrscp(tmp_path / "archive", receiver) as port:
        send(port, exam, "DCMQRSCP")
        stated = {"kind": kind, "host": "127.0.0.1", "port": port, "ae_title": "DCMQRSCP"}
        node = open_base_node(settings_of(stated, tmp_path / "root"))
        source = built_source("x", node.settings)
        assert "answers queries" in source.check()
        (study,) = source.find_studies(StudyQuery(patient_id="P-31")).studies
        if kind == "c-get":
            with study_fetcher("x", node) as fetcher:
                assert fetcher.fetch(study).new == 4
        else:
            assert source.retrieve(study, source.list_series(study), lambda _: None, lambda: None) == []
            wanted = {str(view.SOPInstanceUID) for view in exam}
            wait_until(lambda: wanted <= receiver.rows().keys())
        node.sessions.kw["bind"].dispose()


def test_orthanc_that_does_not_know_the_move_destination_is_explained(orthanc: Orthanc, tmp_path: Path) -> None:
    stranger = settings_of(source_of("c-move", orthanc), tmp_path)
    node = stranger.node.model_copy(update={"ae_title": "STRANGER"})
    source = built_source("x", stranger.model_copy(update={"node": node}))
    with pytest.raises(NodeError, match=r"move destination\. Register STRANGER .* address 127\.0\.0\.1, port 11112"):
        source.check()
