"""Images that are sent again with other bytes: a person takes the newer version or keeps the first one."""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from datetime import timedelta
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from sqlalchemy import update

from glam_node.node.db import audit, conflicts, studies
from glam_node.node.db.tables import InstanceRow
from glam_node.node.db.writer import Writer
from glam_node.node.domain.commitment import CommitmentReply, Failure, Reference
from glam_node.node.domain.conflict import Doubt
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.event import EventKind
from glam_node.node.domain.job import InferenceJob, JobState
from glam_node.node.domain.study import StudyState
from glam_node.node.errors import PermanentError
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.storage.root import write_marker
from glam_node.node.workflow.deliver.commit_results import CommitmentPolicy, commit_results, take_report
from glam_node.node.workflow.operate.resend import Selection, resend
from glam_node.node.workflow.operate.retention import RetentionPolicy, retire, retire_newer_versions
from glam_node.node.workflow.operate.standing import set_aside
from glam_node.node.workflow.operate.study_description import describe
from glam_node.node.workflow.operate.versions import keep_first, take_newer
from glam_node.node.workflow.receive.store_instance import Received, receive
from tests.data_sets import encode
from tests.unit.workflow.workbench import ASSEMBLY, ELIGIBILITY, Archive, Workbench, down

Send = Callable[..., None]


@pytest.fixture
def send(bench: Workbench) -> Iterator[Send]:
    """Return a function that sends images to the node as a peer does."""
    writer = Writer(bench.sessions)

    def sent(*images: Dataset) -> None:
        bench.clock.turn(1)
        for image in images:
            uids = str(image.SOPClassUID), str(image.SOPInstanceUID), str(image.file_meta.TransferSyntaxUID)
            file = bench.store.incoming(head(image))
            file.write([memoryview(encode(image, uids[2]))])
            try:
                receive(Received(*uids, file), "PACS", store=bench.store, writer=writer, now=bench.clock())
            finally:
                file.discard()

    yield sent
    writer.stop()


def head(image: Dataset) -> bytes:
    buffer = DicomBytesIO(bytes(128) + b"DICM")
    buffer.seek(0, 2)
    write_file_meta_info(buffer, image.file_meta, enforce_standard=False)
    return buffer.getvalue()


def changed(images: Sequence[Dataset], **values: object) -> list[Dataset]:
    copies = deepcopy(list(images))
    for image in copies:
        for keyword, value in values.items():
            setattr(image, keyword, value)
    return copies


def dispatched(bench: Workbench) -> list[InferenceJob]:
    bench.clock.turn(ASSEMBLY.quiet_time_s)
    return bench.dispatch()


def reported(bench: Workbench, send: Send, images: list[Dataset]) -> None:
    send(*images)
    (job,) = dispatched(bench)
    assert bench.run(job)


def doubts(bench: Workbench) -> list[Doubt]:
    with bench.sessions() as session:
        return conflicts.in_doubt(session)


def take(bench: Workbench, reason: str = "the archive corrected the patient") -> str:
    return take_newer(bench.sessions, bench.order(reason), bench.store)


def keep(bench: Workbench) -> str:
    with bench.sessions.begin() as session:
        return keep_first(session, bench.order("the first is right"))


def patients(paths: list[Path]) -> set[tuple[str, str]]:
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]
    return {(str(header.PatientID), str(header.PatientName)) for header in headers}


DIFFERENCES: dict[str, tuple[dict[str, object], tuple[str, ...]]] = {
    "another Patient ID": ({"PatientID": "CORRECTED"}, ("patient",)),
    "another issuer": ({"IssuerOfPatientID": "OTHER"}, ("patient",)),
    "another name": ({"PatientName": "RIGHT^PATIENT"}, ("patient",)),
    "another birth date": ({"PatientBirthDate": "19010101"}, ("patient",)),
    "another sex": ({"PatientSex": "M"}, ("patient",)),
    "another accession number": ({"AccessionNumber": "CORRECTED"}, ("study",)),
    "another study date": ({"StudyDate": "19010101"}, ("study",)),
    "another view": ({"ViewPosition": "ML", "ViewCodeSequence": []}, ("view",)),
    "another laterality": ({"ImageLaterality": "B"}, ("view",)),
    "another patient and study": ({"PatientID": "CORRECTED", "AccessionNumber": "CORRECTED"}, ("patient", "study")),
    "another institution": ({"InstitutionName": "ELSEWHERE"}, ("content",)),
}


@pytest.mark.parametrize(("values", "differs"), DIFFERENCES.values(), ids=DIFFERENCES.keys())
def test_images_that_are_sent_again_put_the_study_in_doubt_for_their_differences(
    bench: Workbench, send: Send, exam: list[Dataset], values: dict[str, object], differs: tuple[str, ...]
) -> None:
    send(exam[0])
    assert doubts(bench) == []
    send(*changed(exam[:1], **values))
    (doubt,) = doubts(bench)
    assert (doubt.kinds, doubt.is_grave) == (differs, differs != ("content",))
    assert "CORRECTED" not in doubt.reason
    assert bench.events() == ["instance_stored", "instance_duplicate"]


def test_replacing_images_are_analysed_and_results_name_their_patient(
    bench: Workbench, send: Send, exam: list[Dataset]
) -> None:
    reported(bench, send, exam)
    before = bench.results()
    send(*changed(exam, PatientID="CORRECTED", PatientName="RIGHT^PATIENT"))
    assert take(bench) == (
        "4 images replaced by the newer version; the study is checked and analysed again. "
        "Remove the results of the earlier images at the archive: `glam-node study show UID` lists their UIDs"
    )
    assert {one.state for one in bench.deliveries()} == {DeliveryState.WITHHELD}
    (job,) = dispatched(bench)
    assert bench.run(job)
    assert bench.study().state is StudyState.REPORTED
    new = {uid: path for uid, path in bench.results().items() if uid not in before}
    assert patients(list(new.values())) == {("CORRECTED", "RIGHT^PATIENT")}
    archive = Archive()
    bench.deliver(archive)
    assert set(archive.received) == new.keys()
    assert doubts(bench) == []


def test_the_results_of_images_that_were_replaced_are_described_as_superseded(
    bench: Workbench, send: Send, exam: list[Dataset]
) -> None:
    reported(bench, send, exam)
    bench.deliver(Archive())
    earlier = {one.sop_instance_uid for one in bench.deliveries()}
    send(*changed(exam, PatientID="CORRECTED"))
    take(bench)
    (job,) = dispatched(bench)
    bench.run(job)
    rows = describe(bench.study(), ELIGIBILITY, bench.sessions, bench.store.root)["deliveries"]
    assert [row["superseded"] for row in rows] == sorted(row["superseded"] for row in rows)
    assert {row["sop_instance_uid"] for row in rows if row["superseded"]} == earlier


def test_taking_newer_images_takes_their_patient_and_is_recorded(
    bench: Workbench, send: Send, exam: list[Dataset]
) -> None:
    reported(bench, send, exam)
    send(*changed(exam, PatientID="CORRECTED"))
    take(bench)
    assert bench.study().attributes.patient_id == "CORRECTED"
    with bench.sessions() as session:
        (event,) = audit.recent(session, EventKind.NEWER_TAKEN, 2)
    assert (event.detail["account"], event.detail["reason"]) == ("anna", "the archive corrected the patient")
    assert (event.detail["images"], event.detail["differs"]) == (4, ["patient"])
    assert "CORRECTED" not in str(event)


def test_no_version_of_an_image_is_lost_by_taking_another(bench: Workbench, send: Send, exam: list[Dataset]) -> None:
    reported(bench, send, exam)
    first = {one.path: bench.store.resolve(one.path).read_bytes() for one in bench.study().instances}
    send(*changed(exam, PatientID="CORRECTED"))
    take(bench)
    assert all(bench.store.resolve(path).read_bytes() == kept for path, kept in first.items())
    assert first.keys().isdisjoint(one.path for one in bench.study().instances)
    assert patients([bench.store.resolve(one.path) for one in bench.study().instances]) == {
        ("CORRECTED", str(exam[0].PatientName))
    }


def test_the_first_images_can_be_taken_back(bench: Workbench, send: Send, exam: list[Dataset]) -> None:
    reported(bench, send, exam)
    send(*changed(exam, PatientID="CORRECTED"))
    take(bench)
    send(*exam)
    assert [doubt.kinds for doubt in doubts(bench)] == [("patient",)]
    take(bench)
    assert bench.study().attributes.patient_id == exam[0].PatientID
    assert len(dispatched(bench)) == 1


class CrossedStore(InstanceStore):
    """A storage root in which something else happens once the first file is linked."""

    meanwhile: Callable[[], object]

    def link(self, kept: str, relative: str) -> None:
        """Link the file, and let the other thing happen."""
        super().link(kept, relative)
        self.meanwhile, happens = (lambda: None), self.meanwhile
        happens()


def refused(bench: Workbench, meanwhile: Callable[[], object]) -> None:
    """Take the newer versions while something else happens, and expect that the action is refused."""
    store = CrossedStore(bench.store.root)
    store.meanwhile = meanwhile
    with pytest.raises(PermanentError):
        take_newer(bench.sessions, bench.order("the archive corrected the patient"), store)


def stored_files(bench: Workbench) -> set[Path]:
    return set((bench.store.root / "instances").rglob("*.dcm"))


@pytest.mark.parametrize("stated", [{"PatientID": "CORRECTED"}, {"StudyInstanceUID": "2.25.77"}])
def test_a_refused_action_leaves_no_links(
    bench: Workbench, send: Send, exam: list[Dataset], stated: dict[str, str]
) -> None:
    reported(bench, send, exam)
    send(*changed(exam, **stated))
    before = stored_files(bench)
    refused(bench, lambda: keep(bench))
    assert stored_files(bench) == before


def test_a_refused_action_keeps_the_links_that_another_action_has_taken(
    bench: Workbench, send: Send, exam: list[Dataset]
) -> None:
    reported(bench, send, exam)
    send(*changed(exam, PatientID="CORRECTED"))
    refused(bench, lambda: take(bench))
    assert all(bench.store.resolve(one.path).exists() for one in bench.study().instances)
    assert bench.study().attributes.patient_id == "CORRECTED"


def test_newer_versions_are_not_taken_when_their_links_are_gone(
    bench: Workbench, send: Send, exam: list[Dataset]
) -> None:
    reported(bench, send, exam)
    send(*changed(exam, PatientID="CORRECTED"))
    linked = f"instances/{exam[0].StudyInstanceUID}/*-*.dcm"
    refused(bench, lambda: next(bench.store.root.glob(linked)).unlink())
    assert [doubt.kinds for doubt in doubts(bench)] == [("patient",)]
    assert bench.study().attributes.patient_id == exam[0].PatientID


def test_a_study_stays_as_it_was_when_taking_ends_before_its_commit(
    bench: Workbench, send: Send, exam: list[Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    reported(bench, send, exam)
    send(*changed(exam, PatientID="CORRECTED"))
    before = bench.study()
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(studies, "reopen", interrupt)
        take(bench)
    assert bench.study() == before
    assert all(bench.store.resolve(one.path).exists() for one in before.instances)
    assert [doubt.kinds for doubt in doubts(bench)] == [("patient",)]
    take(bench)
    assert bench.study().attributes.patient_id == "CORRECTED"


def test_the_newest_of_several_versions_is_taken(bench: Workbench, send: Send, exam: list[Dataset]) -> None:
    send(exam[0])
    send(*changed(exam[:1], PatientID="WRONG"))
    send(*changed(exam[:1], PatientID="RIGHT"))
    take(bench)
    assert bench.study().attributes.patient_id == "RIGHT"
    assert doubts(bench) == []


def test_a_study_that_was_corrected_in_part_is_one_of_two_patients(
    bench: Workbench, send: Send, exam: list[Dataset]
) -> None:
    reported(bench, send, exam)
    send(*changed(exam[:2], PatientID="CORRECTED"))
    take(bench)
    assert dispatched(bench) == []
    assert (bench.study().state, bench.study().rule) == (StudyState.INELIGIBLE, "two_patients")
    assert [doubt.kinds for doubt in doubts(bench)] == [("two_patients",)]


def test_an_image_that_moved_to_another_study_is_taken_there(bench: Workbench, send: Send, exam: list[Dataset]) -> None:
    reported(bench, send, exam)
    send(*changed(exam[:1], StudyInstanceUID="2.25.4711", PatientID="CORRECTED"))
    take(bench)
    with bench.sessions() as session:
        moved, left = (studies.get(session, uid) for uid in ("2.25.4711", exam[0].StudyInstanceUID))
    assert moved is not None
    assert left is not None
    assert (moved.state, len(moved.instances), moved.attributes.patient_id) == (StudyState.RECEIVING, 1, "CORRECTED")
    assert (left.state, len(left.instances), left.attributes.patient_id) == (
        StudyState.RECEIVING,
        3,
        exam[0].PatientID,
    )
    jobs = dispatched(bench)
    assert sorted(len(job.sop_instance_uids) for job in jobs) == [1, 3]


def test_a_study_whose_only_image_moved_away_is_left_out(bench: Workbench, send: Send, exam: list[Dataset]) -> None:
    send(exam[0])
    send(*changed(exam[:1], StudyInstanceUID="2.25.4711"))
    take(bench)
    assert len(dispatched(bench)) == 1
    with bench.sessions() as session:
        left = studies.get(session, exam[0].StudyInstanceUID)
    assert left is not None
    assert (left.state, left.reason) == (StudyState.INELIGIBLE, "the node no longer has any image of the study")


def test_a_worker_that_has_begun_queues_nothing_of_replaced_images(
    bench: Workbench, send: Send, exam: list[Dataset]
) -> None:
    send(*exam)
    (job,) = dispatched(bench)
    send(*changed(exam, PatientID="CORRECTED"))
    works = bench.predictor.segment

    def segment(mammograms: object) -> object:
        take(bench)
        return works(mammograms)  # type: ignore[arg-type]

    bench.predictor.segment = segment  # type: ignore[method-assign, assignment]
    assert not bench.run(job)
    bench.predictor.segment = works  # type: ignore[method-assign]
    assert bench.deliveries() == []
    assert bench.job().state is JobState.SUPERSEDED
    assert bench.study().state is StudyState.RECEIVING


def test_results_of_replaced_images_are_never_sent_again(bench: Workbench, send: Send, exam: list[Dataset]) -> None:
    reported(bench, send, exam)
    archive = Archive()
    bench.deliver(archive)
    old = set(archive.received)
    send(*changed(exam, PatientID="CORRECTED"))
    take(bench)
    (job,) = dispatched(bench)
    assert bench.run(job)
    bench.deliver(archive)
    with bench.sessions.begin() as session:
        resend(session, bench.order(), Selection(stored=True), bench.context)
    again = Archive()
    bench.deliver(again)
    assert again.received
    assert old.isdisjoint(again.received)


def test_results_of_replaced_images_are_not_sent_again_when_their_archive_does_not_commit_them(
    bench: Workbench, send: Send, exam: list[Dataset]
) -> None:
    reported(bench, send, exam)
    bench.deliver(Archive())
    policy, asked = CommitmentPolicy({"archive": "ARCHIVE"}, timedelta(hours=1), 5), []

    def ask(transaction_uid: str, references: Sequence[Reference], _: object) -> None:
        asked.append((transaction_uid, [Failure(one, 0x0110) for one in references]))

    commit_results(bench.sessions, "archive", ask, policy, bench.clock())
    send(*changed(exam, PatientID="CORRECTED"))
    take(bench)
    ((transaction_uid, failures),) = asked
    with bench.sessions.begin() as session:
        take_report(session, "ARCHIVE", CommitmentReply(transaction_uid, [], failures), policy, bench.clock())
    assert {one.state for one in bench.deliveries()} == {DeliveryState.WITHHELD}
    assert bench.deliver(Archive()) == 0


def written_by(bench: Workbench, job: InferenceJob) -> set[str]:
    with bench.sessions() as session:
        timeline = audit.timeline(session, job.study_instance_uid)
    written = [one.detail for one in timeline if one.kind == "result_written"]
    return {one["sop_instance_uid"] for one in written if one["job_id"] == job.job_id}


def replaced_in_part(bench: Workbench, send: Send, exam: list[Dataset]) -> InferenceJob:
    """Replace the first image of a reported study, and return the finished job that follows."""
    send(*changed(exam[:1], InstitutionName="ELSEWHERE"))
    take(bench)
    (job,) = dispatched(bench)
    assert bench.run(job)
    return job


def test_waiting_results_of_images_that_were_not_replaced_are_sent(
    bench: Workbench, send: Send, exam: list[Dataset]
) -> None:
    reported(bench, send, exam)
    before = set(bench.results())
    job, archive = replaced_in_part(bench, send, exam), Archive()
    bench.deliver(archive)
    assert before & written_by(bench, job)
    assert set(archive.received) == written_by(bench, job)


def test_stored_results_of_images_that_were_not_replaced_can_be_sent_again(
    bench: Workbench, send: Send, exam: list[Dataset]
) -> None:
    reported(bench, send, exam)
    bench.deliver(Archive())
    job, archive = replaced_in_part(bench, send, exam), Archive()
    bench.deliver(archive)
    assert set(archive.received) < written_by(bench, job)
    with bench.sessions.begin() as session:
        resend(session, bench.order(), Selection(stored=True), bench.context)
    again = Archive()
    bench.deliver(again)
    assert set(again.received) == written_by(bench, job)


def test_no_image_is_replaced_while_the_storage_root_is_away(bench: Workbench, send: Send, exam: list[Dataset]) -> None:
    send(*exam[:2])
    send(*changed(exam[:2], PatientID="CORRECTED"))
    write_marker(bench.store.root, "another directory")
    with pytest.raises(PermanentError, match="Is the share or disk mounted"):
        take(bench)


def test_results_that_were_given_up_are_not_tried_again_once_the_images_are_replaced(
    bench: Workbench, send: Send, exam: list[Dataset]
) -> None:
    reported(bench, send, exam)
    for _ in range(9):
        bench.clock.turn(1000)
        bench.deliver(Archive(answer=down))
    assert DeliveryState.ABANDONED in {one.state for one in bench.deliveries()}
    send(*changed(exam, PatientID="CORRECTED"))
    take(bench)
    assert {one.state for one in bench.deliveries()} == {DeliveryState.WITHHELD}


def test_images_that_were_kept_first_are_not_asked_about_again(
    bench: Workbench, send: Send, exam: list[Dataset]
) -> None:
    reported(bench, send, exam)
    send(*changed(exam, PatientID="MISTAKEN"))
    assert keep(bench) == "the first version of 4 images is kept, and the newer one is ignored"
    send(*changed(exam, PatientID="MISTAKEN"))
    assert doubts(bench) == []
    assert (bench.study().state, bench.study().attributes.patient_id) == (StudyState.REPORTED, exam[0].PatientID)


@pytest.mark.parametrize("act", ["take", "keep"])
def test_a_decision_requires_a_newer_version_and_a_reason(
    bench: Workbench, send: Send, exam: list[Dataset], act: str
) -> None:
    def decide(reason: str) -> str:
        if act == "take":
            return take(bench, reason)
        with bench.sessions.begin() as session:
            return keep_first(session, bench.order(reason))

    send(exam[0])
    with pytest.raises(PermanentError, match=r"Study .* has no newer version of an image"):
        decide("why not")
    send(*changed(exam[:1], PatientID="CORRECTED"))
    with pytest.raises(PermanentError, match="Enter a reason"):
        decide("")


def test_a_lost_file_prevents_taking_newer_versions(bench: Workbench, send: Send, exam: list[Dataset]) -> None:
    send(*exam[:2])
    send(*changed(exam[:2], PatientID="CORRECTED"))
    next(bench.store.root.glob("conflicts/*")).unlink()
    with pytest.raises(PermanentError, match=r"1 file of newer versions .* Send the study again"):
        take(bench)
    assert bench.study().attributes.patient_id == exam[0].PatientID


def tidied(bench: Workbench) -> tuple[int, int]:
    """Return the number of newer versions and of studies that retention removes after years."""
    bench.clock.turn(10**8)
    policy, now = RetentionPolicy(timedelta(days=1), 0), bench.clock()
    versions = retire_newer_versions(bench.sessions, bench.store, policy, now)
    return versions, retire(bench.sessions, bench.store, policy, now)


def delivered(bench: Workbench, send: Send, images: list[Dataset]) -> None:
    reported(bench, send, images)
    bench.deliver(Archive())


def test_a_version_that_retention_removes_is_not_asked_about(bench: Workbench, send: Send, exam: list[Dataset]) -> None:
    delivered(bench, send, exam[:1])
    send(*changed(exam[:1], InstitutionName="ELSEWHERE"))
    assert tidied(bench) == (1, 1)
    assert doubts(bench) == []


def test_retention_keeps_a_study_and_its_newer_versions_until_a_person_decides(
    bench: Workbench, send: Send, exam: list[Dataset]
) -> None:
    delivered(bench, send, exam[:1])
    send(*changed(exam[:1], PatientID="CORRECTED"))
    assert tidied(bench) == (0, 0)
    assert [doubt.kinds for doubt in doubts(bench)] == [("patient",)]
    keep(bench)
    assert tidied(bench) == (1, 1)


def test_retention_keeps_a_study_of_two_patients_until_it_is_set_aside(
    bench: Workbench, send: Send, exam: list[Dataset]
) -> None:
    send(exam[0], *changed(exam[1:], PatientBirthDate="19010101"))
    assert dispatched(bench) == []
    assert tidied(bench) == (0, 0)
    assert [doubt.kinds for doubt in doubts(bench)] == [("two_patients",)]
    with bench.sessions.begin() as session:
        set_aside(session, bench.order("of another person"))
    assert tidied(bench) == (0, 1)


def test_retention_removes_newer_versions_of_a_study_set_aside(
    bench: Workbench, send: Send, exam: list[Dataset]
) -> None:
    send(exam[0])
    send(*changed(exam[:1], PatientID="CORRECTED"))
    with bench.sessions.begin() as session:
        set_aside(session, bench.order("of another person"))
    assert tidied(bench) == (1, 1)


def test_results_that_come_back_under_another_patient_keep_no_late_view_from_being_analysed(
    bench: Workbench, send: Send, exam: list[Dataset]
) -> None:
    reported(bench, send, exam[:3])
    returned = [pydicom.dcmread(path) for path in bench.results().values()]
    send(*changed(returned, PatientID="COERCED", PatientName="COERCED^NAME", PatientBirthDate="19010101"))
    assert bench.study().state is StudyState.REPORTED
    send(exam[3])
    (job,) = dispatched(bench)
    assert len(job.sop_instance_uids) == 4
    assert bench.run(job)
    assert patients(list(bench.results().values())) == {(exam[0].PatientID, str(exam[0].PatientName))}


def test_images_of_two_people_never_lead_to_a_result(bench: Workbench, exam: list[Dataset]) -> None:
    """Prove that the writers compare the headers themselves, because the database does not know what they state.

    So it is with images that an older version stored.
    """
    bench.receive(*exam[:2], *changed(exam[2:], PatientBirthDate="19010101"))
    with bench.sessions.begin() as session:
        session.execute(update(InstanceRow).values(identity=None))
    bench.clock.turn(ASSEMBLY.quiet_time_s)
    (job,) = bench.dispatch()
    bench.run(job)
    assert bench.job().state is JobState.FAILED
    assert bench.job().failure.startswith("two_patients: the source images do not belong together: birth date differs")
    assert (bench.results(), bench.deliveries()) == ({}, [])


def test_the_database_is_free_while_the_files_of_newer_versions_are_linked(
    bench: Workbench, send: Send, exam: list[Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    reported(bench, send, exam)
    send(*changed(exam, PatientID="CORRECTED"))
    link, writes = InstanceStore.link, []

    def slow_link(store: InstanceStore, kept: str, relative: str) -> None:
        with bench.sessions.begin() as session:  # waits in vain if the study is locked
            audit.record(session, EventKind.NEWER_LEFT, bench.clock())
        writes.append(relative)
        link(store, kept, relative)

    monkeypatch.setattr(InstanceStore, "link", slow_link)
    take(bench)
    assert len(writes) == len(exam)


def test_a_version_that_arrives_while_files_are_linked_is_not_taken(
    bench: Workbench, send: Send, exam: list[Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    reported(bench, send, exam)
    send(*changed(exam[:1], PatientID="CORRECTED"))
    link = InstanceStore.link

    def link_while_another_arrives(store: InstanceStore, kept: str, relative: str) -> None:
        send(*changed(exam[1:2], PatientID="CORRECTED"))
        link(store, kept, relative)

    monkeypatch.setattr(InstanceStore, "link", link_while_another_arrives)
    with pytest.raises(PermanentError, match="meanwhile"):
        take(bench)
    assert bench.study().state is StudyState.REPORTED
