"""Tests of backup and restore of a whole node, on both databases."""

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID
from sqlalchemy.orm import Session

from glam_node.inference.phantom import make_exam
from glam_node.inference.threshold import ThresholdPredictor, threshold_package
from glam_node.node.db import audit, conflicts, studies
from glam_node.node.db.engine import SessionFactory, open_database
from glam_node.node.db.standing import set_standing
from glam_node.node.domain.conflict import Conflict
from glam_node.node.domain.event import EventKind
from glam_node.node.domain.study import Standing, StudyState
from glam_node.node.errors import PermanentError
from glam_node.node.storage.files import write_durably
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.operate.backup import BackupReport, back_up
from glam_node.node.workflow.operate.restore import RestoreReport, restore
from tests.builders import NOW
from tests.unit.workflow.workbench import Archive, Workbench, down


@pytest.fixture(scope="session")
def exam() -> list[Dataset]:
    """Return the four standard views with a lesion each."""
    return [view.dataset for view in make_exam(3, rows=64, columns=48)]


@pytest.fixture
def bench(sessions: SessionFactory, tmp_path: Path) -> Workbench:
    """Return a node on the database, without processes."""
    predictor = ThresholdPredictor(threshold_package(tmp_path / "package"))
    return Workbench(sessions, InstanceStore(tmp_path / "root"), predictor)


@pytest.fixture
def back(url: str, bench: Workbench, tmp_path: Path) -> Callable[..., BackupReport]:
    """Return a function that backs up the node to the directory `backup`."""

    def taken(name: str = "backup", everything: bool = False) -> BackupReport:
        root = bench.store.root
        return back_up(url, root, tmp_path / name, settings="", everything=everything, now=NOW)

    return taken


@pytest.fixture
def again(bench: Workbench, other_url: str, tmp_path: Path) -> Iterator[Callable[[], tuple[Workbench, RestoreReport]]]:
    """Yield a function that restores the node of `backup` to the directory `again`, on another database."""
    opened: list[SessionFactory] = []

    def made() -> tuple[Workbench, RestoreReport]:
        store = tmp_path / "again"
        store.mkdir()
        report = restore(tmp_path / "backup", other_url, store, NOW)
        opened.append(open_database(other_url))
        return Workbench(opened[-1], InstanceStore(store), bench.predictor), report

    yield made
    for sessions in opened:
        sessions.kw["bind"].dispose()


Back = Callable[..., BackupReport]
Again = Callable[[], tuple[Workbench, RestoreReport]]


def test_the_restored_node_delivers_the_results_that_were_not_delivered(
    bench: Workbench, back: Back, again: Again, exam: list[Dataset]
) -> None:
    bench.run(bench.submitted(*exam))
    bench.deliver(Archive(answer=down))
    assert back() == BackupReport(
        studies=1, files=4 + 1 + len(bench.results()), images={bench.study().study_instance_uid: 4}, lost=()
    )
    restored, _ = again()
    archive, waiting = Archive(), {one.sop_instance_uid for one in bench.deliveries()}
    restored.clock.turn(10**6)
    restored.deliver(archive)
    assert set(archive.received) == waiting
    assert len(waiting) > 1


def test_the_restored_node_has_the_same_studies_jobs_and_timeline(
    bench: Workbench, back: Back, again: Again, exam: list[Dataset]
) -> None:
    bench.run(bench.submitted(*exam))
    back()
    restored, _ = again()
    assert restored.study() == bench.study()
    assert restored.jobs() == bench.jobs()
    assert restored.events() == bench.events()


def test_the_restored_node_does_the_job_that_waited(
    bench: Workbench, back: Back, again: Again, exam: list[Dataset]
) -> None:
    job = bench.submitted(*exam)
    back()
    restored, _ = again()
    restored.clock.turn(10**6)
    assert restored.run(job)
    assert restored.study().state is StudyState.REPORTED


def test_the_restored_node_records_new_events(bench: Workbench, back: Back, again: Again, exam: list[Dataset]) -> None:
    bench.receive(*exam)
    bench.clock.turn(1000)
    bench.dispatch()
    back()
    restored, _ = again()
    with restored.sessions.begin() as session:
        audit.record(session, EventKind.RETRY_REQUESTED, NOW, study_instance_uid=str(exam[0].StudyInstanceUID))
    assert restored.events() == [*bench.events(), "retry_requested"]


def delivered(bench: Workbench, exam: list[Dataset]) -> None:
    bench.run(bench.submitted(*exam))
    bench.deliver(Archive())


def test_backup_keeps_the_record_but_not_the_files_of_a_delivered_study(
    bench: Workbench, back: Back, again: Again, exam: list[Dataset]
) -> None:
    delivered(bench, exam)
    assert back() == BackupReport(studies=1, files=0, images={}, lost=())
    restored, report = again()
    assert (report.studies, report.retired) == (1, 1)
    assert restored.study().state is StudyState.RETIRED


def corrected(bench: Workbench, image: Dataset) -> None:
    """Record that the image came again and states another patient, and keep its file."""
    (known,) = [one for one in bench.study().instances if one.sop_instance_uid == image.SOPInstanceUID]
    path = f"conflicts/{known.sop_instance_uid}-0.dcm"
    write_durably(bench.store.resolve(path), b"newer")
    study = bench.study()
    newer = Conflict(replace(known, path=path), study.attributes, study.study_instance_uid, ("patient",))
    with bench.sessions.begin() as session:
        conflicts.add(session, newer)


def test_a_study_with_newer_versions_that_wait_for_a_person_is_backed_up_with_its_files(
    bench: Workbench, back: Back, again: Again, exam: list[Dataset]
) -> None:
    delivered(bench, exam)
    corrected(bench, exam[0])
    assert back().images == {bench.study().study_instance_uid: 4}
    restored, report = again()
    assert (restored.study(), report.retired) == (bench.study(), 0)
    assert [path.read_bytes() for path, _ in restored.store.conflicts()] == [b"newer"]
    assert list(restored.results()) == list(bench.results())


@pytest.mark.parametrize("is_set_aside", [False, True], ids=["undecided", "set aside"])
def test_a_study_of_two_patients_is_backed_up_with_its_files(
    bench: Workbench, back: Back, again: Again, exam: list[Dataset], is_set_aside: bool
) -> None:
    bench.receive(*exam)
    with bench.sessions.begin() as session:
        complete = studies.set_state(session, bench.study(), StudyState.COMPLETE, "quiet_time", "")
        studies.set_state(session, complete, StudyState.INELIGIBLE, "two_patients", "birth date differs")
        if is_set_aside:
            set_standing(session, complete, Standing.SET_ASIDE, "of another person")
    assert back().files == 4
    restored, report = again()
    assert (restored.study(), report.retired) == (bench.study(), 0)
    with restored.sessions() as session:
        assert len(conflicts.in_doubt(session)) == (not is_set_aside)


def test_backup_keeps_all_files_if_everything_is_requested(
    bench: Workbench, back: Back, again: Again, exam: list[Dataset]
) -> None:
    delivered(bench, exam)
    back(everything=True)
    restored, report = again()
    assert (restored.study(), report.retired) == (bench.study(), 0)
    for relative in [instance.path for instance in bench.study().instances]:
        assert restored.store.resolve(relative).read_bytes() == bench.store.resolve(relative).read_bytes()
    assert list(restored.results()) == list(bench.results())


def test_every_row_has_its_file_although_images_arrived_during_the_backup(
    bench: Workbench, back: Back, again: Again, exam: list[Dataset]
) -> None:
    stop = threading.Event()

    def arrive() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            image = exam[0].copy()
            image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = UID(f"2.25.77{number}")
            bench.receive(image)

    bench.receive(exam[1])
    sender = threading.Thread(target=arrive)
    sender.start()
    try:
        for number in range(4):
            assert back(f"before{number}").lost == ()
        back()
    finally:
        stop.set()
        sender.join()
    restored, report = again()
    paths = [restored.store.resolve(instance.path) for instance in restored.study().instances]
    assert len(paths) == report.files > 1
    assert {str(pydicom.dcmread(path).SOPInstanceUID) for path in paths} == {path.stem for path in paths}


def test_backup_copies_the_database_again_if_a_study_is_retired_meanwhile(
    bench: Workbench, back: Back, again: Again, exam: list[Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files are removed just after the database was copied, which makes a second copy necessary."""
    delivered(bench, exam)
    study, counts_by_state = bench.study(), studies.counts_by_state
    rounds: list[Session] = []

    def retired_just_then(session: Session) -> dict[StudyState, int]:
        rounds.append(session)
        if len(rounds) == 1:
            with bench.sessions.begin() as own:
                studies.set_state(own, study, StudyState.RETIRED, "age", "")
                studies.delete_instances(own, study.study_instance_uid)
            shutil.rmtree(bench.store.root / "results")
            shutil.rmtree(bench.store.root / "instances")
        return counts_by_state(session)

    monkeypatch.setattr(studies, "counts_by_state", retired_just_then)
    report = back(everything=True)
    assert (len(rounds), report.lost) == (2, ())
    assert again()[0].study().state is StudyState.RETIRED


def test_backup_names_lost_files_and_keeps_the_others(
    bench: Workbench, back: Back, again: Again, exam: list[Dataset]
) -> None:
    bench.receive(*exam)
    lost = bench.study().instances[0].path
    bench.store.resolve(lost).unlink()
    assert back().lost == (lost,)
    assert again()[1].files == 3


@pytest.mark.parametrize("name", ["database", "instances", "node.toml"])
def test_a_damaged_backup_is_refused_and_leaves_no_file(
    name: str, bench: Workbench, back: Back, other_url: str, tmp_path: Path, exam: list[Dataset]
) -> None:
    bench.receive(*exam)
    back()
    path = next(path for path in (tmp_path / "backup").rglob("*") if path.is_file() and name in str(path))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    (tmp_path / "again").mkdir()
    with pytest.raises(PermanentError, match="damaged"):
        restore(tmp_path / "backup", other_url, tmp_path / "again", NOW)
    assert list((tmp_path / "again").iterdir()) == []


def test_restore_refuses_a_database_that_is_not_empty(back: Back, url: str, tmp_path: Path) -> None:
    back()
    with pytest.raises(PermanentError, match="is not empty"):
        restore(tmp_path / "backup", url, tmp_path / "again", NOW)


def test_restore_refuses_a_storage_root_that_is_not_empty(back: Back, other_url: str, tmp_path: Path) -> None:
    back()
    with pytest.raises(PermanentError, match="is not empty"):
        restore(tmp_path / "backup", other_url, tmp_path, NOW)


def refuse_changed(tmp_path: Path, url: str, old: str, new: str, refusal: str) -> None:
    """Replace `old` by `new` in the manifest, and check that the backup is refused."""
    manifest = tmp_path / "backup" / "manifest.json"
    manifest.write_text(manifest.read_text().replace(old, new))
    with pytest.raises(PermanentError, match=refusal):
        restore(tmp_path / "backup", url, tmp_path / "again", NOW)


def test_a_backup_of_a_newer_version_is_refused(back: Back, other_url: str, tmp_path: Path) -> None:
    back()
    refuse_changed(tmp_path, other_url, '"schema": "0', '"schema": "9', "newer")


def test_a_backup_that_names_files_outside_itself_is_refused(back: Back, other_url: str, tmp_path: Path) -> None:
    back()
    refuse_changed(tmp_path, other_url, '"files": {', '"files": {"../secret": "0",', "outside")


def test_restore_refuses_another_kind_of_database(back: Back, url: str, tmp_path: Path) -> None:
    back()
    other = "postgresql+psycopg://nobody@/none" if url.startswith("sqlite") else f"sqlite:///{tmp_path / 'x.sqlite'}"
    with pytest.raises(PermanentError, match="Set database_url"):
        restore(tmp_path / "backup", other, tmp_path / "again", NOW)


def test_a_backup_is_readable_by_its_owner_alone_and_has_no_other_files(
    bench: Workbench, back: Back, tmp_path: Path, exam: list[Dataset]
) -> None:
    bench.receive(*exam)
    back()
    modes = {path.stat().st_mode & 0o077 for path in (tmp_path / "backup").rglob("instances/*/*")}
    assert ((tmp_path / "backup").stat().st_mode & 0o077, modes) == (0, {0})
    names = {path.name for path in (tmp_path / "backup").iterdir()}
    assert names - {"database.sqlite", "database.dump"} == {"instances", "manifest.json", "node.toml"}


@pytest.mark.peer("postgresql")
def test_backup_names_the_command_if_the_postgresql_client_is_missing(
    postgresql_socket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    url = f"postgresql+psycopg://postgres:secret@/migrated?host={postgresql_socket}"
    with pytest.raises(PermanentError, match=r"postgresql-client.*pg_dump --format=custom") as told:
        back_up(url, tmp_path, tmp_path / "backup", settings="", everything=False, now=NOW)
    assert "secret" not in str(told.value)
    assert not (tmp_path / "backup").exists()
