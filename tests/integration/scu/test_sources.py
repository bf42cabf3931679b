"""Sources that are DICOM archives: queries, and retrieval that is complete only when every instance is stored."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid
from sqlalchemy import select

from glam_node.node.bootstrap.base_node import BaseNode, open_base_node
from glam_node.node.bootstrap.sources import built_source, mammogram_counter, study_fetcher
from glam_node.node.db.tables import EventRow, InstanceRow
from glam_node.node.domain.archived import ArchivedStudy, StudyQuery
from glam_node.node.errors import PermanentError, TransientError
from glam_node.node.scu.association import RemoteAE
from glam_node.node.scu.find import PATIENT_ROOT_FIND, STUDY_ROOT_FIND
from glam_node.node.scu.retrieve import GET_MODELS, MOVE_MODELS, MoveSource
from glam_node.node.workflow.receive import fetch_study
from glam_node.node.workflow.receive.fetch_study import FetchOutcome
from glam_node.settings.load import problems_of, validated
from glam_node.settings.schema import Settings
from tests.integration.archive import Archive, listening
from tests.integration.modality import small_exam
from tests.integration.scu.query_archive import QueryArchive


def settings_for(port: int, **more: Any) -> Settings:
    """Return the settings of a node with one source."""
    source = {"kind": "c-get", "host": "127.0.0.1", "port": port, "timeout": 5.0}
    return validated({"node": {"port": 11113}, "sources": {"pacs": {**source, **more}}})


def exam(seed: int = 1, **elements: Any) -> list[Dataset]:
    """Return four views with these elements."""
    views = small_exam(seed)
    for view in views:
        for keyword, value in elements.items():
            setattr(view, keyword, value)
    return views


def study_of(views: list[Dataset]) -> ArchivedStudy:
    """Return the study of these views as a query returns it."""
    return ArchivedStudy(str(views[0].StudyInstanceUID), str(views[0].PatientID))


def find(archive: QueryArchive, query: StudyQuery, **source: Any) -> list[str]:
    """Return the Study Instance UIDs that a query finds."""
    with archive.listening() as port:
        found = built_source("pacs", settings_for(port, **source)).find_studies(query)
    return [one.study_instance_uid for one in found.studies]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the pauses between attempts."""
    monkeypatch.setattr(fetch_study, "ARRIVAL_S", 0.3)


@contextmanager
def opened_node(path: Path, settings: Settings) -> Iterator[BaseNode]:
    """Open a node with these settings in a directory."""
    whole = validated({**settings.model_dump(mode="json"), "storage": {"root": str(path), "minimum_free_bytes": 0}})
    node = open_base_node(whole)
    try:
        yield node
    finally:
        node.sessions.kw["bind"].dispose()


def fetch(path: Path, archive: QueryArchive, study: ArchivedStudy, **source: Any) -> FetchOutcome:
    """Fetch a study from the archive into a node in this directory."""
    with (
        archive.listening() as port,
        opened_node(path, settings_for(port, **source)) as node,
        study_fetcher("pacs", node) as fetcher,
    ):
        fetcher._pause_s = 0.05
        return fetcher.fetch(study)


def stored(path: Path) -> list[InstanceRow]:
    """Return the rows of the instances that the node has."""
    with opened_node(path, settings_for(1)) as node, node.sessions() as session:
        return list(session.scalars(select(InstanceRow)))


# Queries


def test_studies_are_found_by_each_key() -> None:
    one = exam(1, PatientID="P1", AccessionNumber="A1", StudyDate="20200105")
    other = exam(2, PatientID="P2", AccessionNumber="A2", StudyDate="20240105")
    archive, uid = QueryArchive([*one, *other]), str(one[0].StudyInstanceUID)
    for query in (
        StudyQuery(patient_id="P1"),
        StudyQuery(accession_number="A1"),
        StudyQuery(study_instance_uid=uid),
        StudyQuery(date_to="20200105", modality="MG"),
        StudyQuery(date_from="20200101", date_to="20231231"),
    ):
        assert find(archive, query) == [uid], query
    assert find(archive, StudyQuery(date_from="20200101", modality="MR")) == []


def test_studies_are_filtered_again_if_the_archive_ignores_the_keys() -> None:
    one, other = exam(1, PatientID="P1", StudyDate="20200105"), exam(2, PatientID="P2", StudyDate="20240105")
    archive = QueryArchive([*one, *other], ignores_keys=True)
    assert find(archive, StudyQuery(patient_id="P2")) == [str(other[0].StudyInstanceUID)]
    assert find(archive, StudyQuery(date_to="20201231")) == [str(one[0].StudyInstanceUID)]


def test_a_study_that_is_answered_twice_is_found_once() -> None:
    views = exam(1, PatientID="P1")
    assert len(find(QueryArchive(views, answers_twice=True), StudyQuery(patient_id="P1"))) == 1


def test_a_patient_id_in_another_character_set_matches() -> None:
    views = exam(1, SpecificCharacterSet="ISO_IR 100", PatientID="MÜLLER-1")
    assert find(QueryArchive(views, ignores_keys=True), StudyQuery(patient_id="MÜLLER-1"))


def test_an_archive_that_answers_slowly_is_read_to_its_end() -> None:
    images = [view for seed in range(1, 7) for view in exam(seed, PatientID="P1")]
    assert len(find(QueryArchive(images, delay_s=0.3), StudyQuery(patient_id="P1"), timeout=1.0)) == 6


def test_a_query_is_cancelled_beyond_its_limit() -> None:
    images = [view for seed in range(1, 9) for view in exam(seed, PatientID="P1")[:1]]
    archive = QueryArchive(images, delay_s=0.1)
    with archive.listening() as port:
        found = built_source("pacs", settings_for(port)).find_studies(StudyQuery(patient_id="P1", limit=2))
    assert (len(found.studies), found.is_cut, archive.was_cancelled) == (2, True, True)


def test_a_peer_that_ends_the_association_during_a_query_is_named() -> None:
    images = [view for seed in range(1, 4) for view in exam(seed, PatientID="P1")]
    with pytest.raises(TransientError, match=r"ARCHIVE at .* ended the association without an answer to C-FIND"):
        find(QueryArchive(images, aborts_after=2), StudyQuery(patient_id="P1"))


def test_a_refused_query_is_named_with_its_status() -> None:
    with pytest.raises(PermanentError, match="0xA700 to C-FIND"):
        find(QueryArchive(exam(), find_status=0xA700), StudyQuery(patient_id="P1"))


def test_an_archive_with_the_patient_root_only_needs_a_patient_id() -> None:
    views = exam(1, PatientID="P1")
    archive = QueryArchive(views, models=(PATIENT_ROOT_FIND, GET_MODELS[1]))
    assert find(archive, StudyQuery(patient_id="P1")) == [str(views[0].StudyInstanceUID)]
    with pytest.raises(PermanentError, match="need a patient ID"):
        find(archive, StudyQuery(accession_number="A1"))


# Retrieval


@pytest.mark.parametrize("models", [(STUDY_ROOT_FIND, GET_MODELS[0]), (PATIENT_ROOT_FIND, GET_MODELS[1])])
def test_a_study_is_fetched_by_each_model(tmp_path: Path, models: tuple[str, ...]) -> None:
    views = exam(1, PatientID="P1")
    outcome = fetch(tmp_path, QueryArchive(views, models=models), study_of(views))
    assert (outcome.expected, outcome.stored, outcome.new, outcome.is_complete) == (4, 4, 4, True)
    rows = stored(tmp_path)
    assert {row.sop_instance_uid for row in rows} == {str(view.SOPInstanceUID) for view in views}
    assert {row.calling_ae_title for row in rows} == {"ARCHIVE"}
    assert all((tmp_path / row.path).is_file() for row in rows)


def test_only_series_of_the_chosen_modalities_are_fetched(tmp_path: Path) -> None:
    views = exam()
    views[3].Modality, views[3].SeriesInstanceUID = "SR", generate_uid()
    assert fetch(tmp_path / "a", QueryArchive(views), study_of(views)).stored == 3
    assert fetch(tmp_path / "b", QueryArchive(views), study_of(views), modalities=()).stored == 4


def test_instances_that_an_archive_loses_silently_are_asked_for_again(tmp_path: Path) -> None:
    views = exam()
    for view in views:
        view.SeriesInstanceUID = views[0].SeriesInstanceUID
    archive = QueryArchive(views, sent=lambda wanted, number: wanted[:2] if number == 1 else wanted)
    assert fetch(tmp_path, archive, study_of(views)).is_complete
    first, second = archive.asked("C-GET")
    assert (first.QueryRetrieveLevel, second.QueryRetrieveLevel) == ("SERIES", "IMAGE")
    assert set(second.SOPInstanceUID) == {str(view.SOPInstanceUID) for view in views[2:]}


def test_instances_that_never_arrive_are_counted_after_a_bounded_number_of_attempts(tmp_path: Path) -> None:
    views = exam()
    archive = QueryArchive(views, sent=lambda wanted, _: [one for one in wanted if one is not views[3]])
    outcome = fetch(tmp_path, archive, study_of(views))
    assert not outcome.is_complete
    assert fetch_study.said(outcome) == "3 of 4 instances stored, 3 new; 1 missing"


def test_a_failed_sub_operation_is_said_with_the_number_of_instances(tmp_path: Path) -> None:
    views = exam()
    strange = exam(2)[0]
    strange.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    strange.StudyInstanceUID = views[0].StudyInstanceUID
    archive = QueryArchive(views, sent=lambda wanted, _: [strange if one is views[3] else one for one in wanted])
    outcome = fetch(tmp_path, archive, study_of(views))
    assert outcome.stored == 3
    assert any("could not send 1 instance" in failure for failure in outcome.failures), outcome


def test_an_archive_that_only_counts_is_believed_and_one_that_does_not_even_count_is_refused(tmp_path: Path) -> None:
    views = exam()
    counting = QueryArchive(views, lists_images=False)
    assert fetch(tmp_path / "a", counting, study_of(views)).is_complete
    lossy = QueryArchive(views, lists_images=False, sent=lambda wanted, _: wanted[1:])
    assert not fetch(tmp_path / "b", lossy, study_of(views)).is_complete
    with pytest.raises(PermanentError, match="0xA900 to C-FIND"):
        fetch(tmp_path / "c", QueryArchive(views, lists_images=False, counts=False), study_of(views))


def test_an_instance_of_another_study_is_refused_and_recorded(tmp_path: Path) -> None:
    views, other = exam(), exam(2)
    archive = QueryArchive(views, sent=lambda wanted, _: [other[0], *wanted])
    outcome = fetch(tmp_path, archive, study_of(views))
    assert (outcome.stored, len(stored(tmp_path))) == (4, 4)
    with opened_node(tmp_path, settings_for(1)) as node, node.sessions() as session:
        refused = session.scalars(select(EventRow).where(EventRow.event == "instance_refused")).first()
    assert refused is not None
    assert refused.detail["reason"] == "the instance is not of the study that was asked for"
    assert refused.detail["calling_ae_title"] == "ARCHIVE"


def test_a_disk_without_room_stores_nothing_that_is_fetched(tmp_path: Path) -> None:
    views = exam()
    with QueryArchive(views).listening() as port:
        settings = settings_for(port).model_dump(mode="json")
        settings["storage"] |= {"root": str(tmp_path), "minimum_free_bytes": 2**60}
        node = open_base_node(validated(settings))
        with study_fetcher("pacs", node) as fetcher:
            fetcher._attempts = 1
            outcome = fetcher.fetch(study_of(views))
        node.sessions.kw["bind"].dispose()
    assert outcome.stored == 0
    assert any("storage.minimum_free_bytes" in failure for failure in outcome.failures)


def test_an_unknown_move_destination_is_explained_with_what_to_register(tmp_path: Path) -> None:
    views = exam()
    wanted = r"0xA801 .*move destination unknown.* Register GLAMNODE .*address 127\.0\.0\.1, port 11113"
    with pytest.raises(PermanentError, match=wanted):
        fetch(tmp_path, QueryArchive(views), study_of(views), kind="c-move")
    with QueryArchive(views).listening() as port, pytest.raises(PermanentError, match=wanted):
        built_source("pacs", settings_for(port, kind="c-move")).check()


def test_a_move_that_ends_without_instances_is_not_complete(tmp_path: Path) -> None:
    views = exam()
    with listening(Archive("GLAMNODE", statuses=[0xA700] * 50)) as full:
        archive = QueryArchive(views, destinations={"GLAMNODE": ("127.0.0.1", full.port)})
        outcome = fetch(tmp_path, archive, study_of(views), kind="c-move")
    assert (outcome.stored, outcome.is_complete) == (0, False)
    assert "Nothing listens on port 11113 of this node" in outcome.failures[0]
    with listening(Archive("GLAMNODE")) as node:
        peer = RemoteAE("pacs", "ARCHIVE", "127.0.0.1", 104, 5.0, "GLAMNODE", settings_section="sources.pacs")
        said = MoveSource(peer, (), node.port)._remedy_for(0xA702)
    assert f"port {node.port}, that `glam-node serve` runs, and that ARCHIVE is one of the [peers]" in said


def test_a_person_who_interrupts_cancels_the_request() -> None:
    views = exam()
    for view in views:
        view.SeriesInstanceUID = views[0].SeriesInstanceUID

    def interrupt() -> None:
        raise KeyboardInterrupt

    with listening(Archive("GLAMNODE")) as receiver:
        archive = QueryArchive(views, delay_s=0.3, destinations={"GLAMNODE": ("127.0.0.1", receiver.port)})
        with archive.listening() as port:
            source = built_source("pacs", settings_for(port, kind="c-move"))
            series = source.list_series(study_of(views))
            with pytest.raises(KeyboardInterrupt):
                source.retrieve(study_of(views), series, lambda _: None, interrupt)
    assert archive.was_cancelled
    assert len(receiver.received) < len(views)


def test_an_archive_without_retrieval_is_named_by_the_check() -> None:
    without = QueryArchive(exam(), models=(STUDY_ROOT_FIND, MOVE_MODELS[0]))
    with without.listening() as port, pytest.raises(PermanentError, match="accepts no C-GET"):
        built_source("pacs", settings_for(port)).check()
    with QueryArchive(exam()).listening() as port:
        assert "accepts C-GET" in built_source("pacs", settings_for(port)).check()


def test_a_source_is_asked_how_many_mammograms_a_study_has() -> None:
    views = exam()
    views[3].Modality, views[3].SeriesInstanceUID = "SR", generate_uid()
    with QueryArchive(views).listening() as port:
        count = mammogram_counter("pacs", settings_for(port, modalities=["MR"]))
        assert count(str(views[0].StudyInstanceUID)) == 3
        assert count("2.25.1") == 0


def test_a_source_may_confirm_that_a_study_is_complete() -> None:
    sources = {"sources": {"pacs": {"kind": "dicomweb"}}}
    assert problems_of({**sources, "assembly": {"confirm_with": "pacs"}}) == ()
    (problem,) = problems_of({**sources, "assembly": {"confirm_with": "other"}})
    assert str(problem) == "assembly.confirm_with: there is no destinations.other or sources.other"
