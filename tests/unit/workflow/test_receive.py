"""Received instances: stored, kept beside the first version, or refused with a reason."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from blake3 import blake3
from sqlalchemy import update
from sqlalchemy.orm import Session

from glam_node.node.db import audit, migrate, studies
from glam_node.node.db.engine import SessionFactory, open_database
from glam_node.node.db.tables import InstanceRow
from glam_node.node.db.writer import Writer
from glam_node.node.domain.event import Event
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.domain.study import Study, StudyState
from glam_node.node.errors import TransientError
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.receive.store_instance import (
    CANNOT_UNDERSTAND,
    DATA_SET_DOES_NOT_MATCH,
    Received,
    Refused,
    receive,
)
from tests.builders import NOW, after
from tests.data_sets import DEFLATED, EXPLICIT_LITTLE, MG, data_set, encode, mammogram

UID, STUDY = "1.2.3.4", "1.2.3"


class Receiving:
    """A store and a database to receive into."""

    def __init__(self, root: Path) -> None:
        url = f"sqlite:///{root / 'test.sqlite'}"
        migrate.upgrade(url)
        self.sessions: SessionFactory = open_database(url)
        self.writer = Writer(self.sessions)
        self.store = InstanceStore(root / "storage")

    def take(
        self,
        data: bytes,
        uid: str = UID,
        *,
        sop_class_uid: str = MG,
        transfer_syntax_uid: str = EXPLICIT_LITTLE,
        seconds: float = 0,
    ) -> SOPInstance:
        """Store an instance as the receiver does after the last fragment."""
        file = self.store.incoming(b"head")
        file.write([memoryview(data)])
        received = Received(sop_class_uid, uid, transfer_syntax_uid, file)
        try:
            return receive(received, "MODALITY", store=self.store, writer=self.writer, now=after(seconds))
        finally:
            file.discard()

    def study(self) -> Study:
        with self.sessions() as session:
            study = studies.get(session, STUDY)
        assert study is not None
        return study

    def events(self) -> list[Event]:
        with self.sessions() as session:
            return audit.timeline(session, STUDY)

    def files(self) -> dict[str, bytes]:
        """Return the content of every file under the storage root that is not empty."""
        files = ((path, path.read_bytes()) for path in self.store.root.rglob("*") if path.is_file())
        return {str(path.relative_to(self.store.root)): held for path, held in files if held}


@pytest.fixture
def receiving(tmp_path: Path) -> Iterator[Receiving]:
    receiving = Receiving(tmp_path)
    yield receiving
    receiving.writer.stop()


def test_a_received_instance_is_on_disk_and_on_record(receiving: Receiving) -> None:
    data = data_set(UID, PatientID="P1", StudyDescription="Screening", ImageLaterality="L", ViewPosition="CC")
    instance = receiving.take(data)
    assert receiving.files() == {f"instances/{STUDY}/{UID}.dcm": b"head" + data}
    assert receiving.study().instances == (instance,)
    assert (instance.blake3, instance.byte_count) == (blake3(data).hexdigest(), len(data))
    assert (instance.attributes.image_laterality, instance.attributes.view_position) == ("L", "CC")
    assert (receiving.study().attributes.patient_id, receiving.study().state) == ("P1", StudyState.RECEIVING)


def test_the_record_of_an_instance_does_not_name_its_patient(receiving: Receiving) -> None:
    receiving.take(data_set(UID, PatientID="P1", PatientName="Doe^Jane"))
    (event,) = receiving.events()
    assert event.kind == "instance_stored"
    assert "P1" not in str(event)
    assert "Doe" not in str(event)


def test_the_same_bytes_again_change_nothing_but_are_recorded(receiving: Receiving) -> None:
    first = receiving.take(data_set(UID))
    assert receiving.take(data_set(UID), seconds=60) == first
    assert receiving.study().last_received_at == NOW
    assert list(receiving.files()) == [f"instances/{STUDY}/{UID}.dcm"]
    assert [event.kind for event in receiving.events()] == ["instance_stored", "instance_duplicate"]


@pytest.mark.parametrize("elsewhere", ["1.2.3", "1.2.4"], ids=["the same study", "another study"])
def test_other_bytes_under_a_known_uid_are_kept_beside_the_first(receiving: Receiving, elsewhere: str) -> None:
    first, other = data_set(UID), data_set(UID, StudyInstanceUID=elsewhere, ImageLaterality="R")
    receiving.take(first)
    receiving.take(other, seconds=60)
    digest = blake3(other).hexdigest()[:16]
    assert receiving.files() == {
        f"instances/{STUDY}/{UID}.dcm": b"head" + first,
        f"conflicts/{UID}-{digest}.dcm": b"head" + other,
    }
    assert len(receiving.study().instances) == 1
    assert receiving.events()[-1].detail["same_bytes"] is False


@pytest.mark.parametrize("same", [True, False], ids=["the same bytes", "other bytes"])
def test_an_instance_stored_with_another_digest_is_compared_by_that_digest(receiving: Receiving, same: bool) -> None:
    first = receiving.take(data_set(UID))
    sha256 = hashlib.sha256(data_set(UID)).hexdigest()
    receiving.writer.submit(lambda session: session.execute(update(InstanceRow).values(blake3="", sha256=sha256)))
    again = receiving.take(data_set(UID) if same else data_set(UID, ImageLaterality="R"), seconds=60)
    assert again == replace(first, blake3="", sha256=sha256)
    assert receiving.events()[-1].detail["same_bytes"] is same


def test_an_instance_whose_file_was_lost_is_restored_by_the_same_bytes(receiving: Receiving) -> None:
    instance = receiving.take(data_set(UID))
    receiving.store.resolve(instance.path).unlink()
    receiving.take(data_set(UID), seconds=60)
    assert receiving.store.resolve(instance.path).read_bytes() == b"head" + data_set(UID)
    assert len(receiving.study().instances) == 1


def test_a_file_without_a_row_is_replaced(receiving: Receiving) -> None:
    orphan = receiving.store.resolve(f"instances/{STUDY}/{UID}.dcm")
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"what a crash before the commit left")
    receiving.take(data_set(UID))
    assert orphan.read_bytes() == b"head" + data_set(UID)


def test_a_late_mammogram_takes_the_study_back_to_receiving(receiving: Receiving) -> None:
    receiving.take(data_set(UID))

    def close(session: Session) -> None:
        study = studies.get(session, STUDY)
        assert study is not None
        studies.set_state(session, study, StudyState.COMPLETE, "four_views", "whole")

    receiving.writer.submit(close)
    receiving.take(data_set("1.2.3.5"), "1.2.3.5", seconds=600)
    assert receiving.study().state is StudyState.RECEIVING
    assert receiving.study().last_received_at == after(600)


@pytest.mark.parametrize(("patient_id", "mismatch"), [("P2", True), ("P1", False), ("", False)])
def test_a_second_patient_in_a_study_is_marked(receiving: Receiving, patient_id: str, mismatch: bool) -> None:
    receiving.take(data_set(UID, PatientID="P1"))
    second = receiving.take(data_set("1.2.3.5", PatientID=patient_id), "1.2.3.5")
    assert second.attributes.patient_mismatch is mismatch
    assert receiving.events()[-1].detail["patient_mismatch"] is mismatch
    assert receiving.study().attributes.patient_id == "P1"


def test_the_first_stated_patient_id_is_the_studys_also_when_an_instance_without_one_came_before(
    receiving: Receiving,
) -> None:
    mismatches = [
        receiving.take(data_set(uid, PatientID=patient_id), uid).attributes.patient_mismatch
        for uid, patient_id in (("1.2.3.4", ""), ("1.2.3.5", "P1"), ("1.2.3.6", "P2"), ("1.2.3.7", "P1"))
    ]
    assert mismatches == [False, False, True, False]
    assert receiving.study().attributes.patient_id == "P1"


REFUSED = {
    "another instance": (data_set("1.2.9"), DATA_SET_DOES_NOT_MATCH, "differs from the command"),
    "another class": (data_set(UID, SOPClassUID="1.2"), DATA_SET_DOES_NOT_MATCH, "differs from the command"),
    "no instance UID": (data_set(""), DATA_SET_DOES_NOT_MATCH, "differs from the command"),
    "no study": (data_set(UID, StudyInstanceUID=""), CANNOT_UNDERSTAND, "StudyInstanceUID is missing"),
    "two studies": (data_set(UID, StudyInstanceUID=["1.2", "1.3"]), CANNOT_UNDERSTAND, "StudyInstanceUID"),
    "a path for a study": (data_set(UID, StudyInstanceUID="../../x"), CANNOT_UNDERSTAND, "StudyInstanceUID"),
    "no series": (data_set(UID, SeriesInstanceUID=""), CANNOT_UNDERSTAND, "SeriesInstanceUID is missing"),
    "no elements": (b"", CANNOT_UNDERSTAND, "no elements"),
    "cut pixel data": (data_set(UID, pixel_bytes=100)[:-2], CANNOT_UNDERSTAND, "too early"),
}


@pytest.mark.parametrize(("data", "status", "reason"), REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_an_invalid_instance_is_refused_and_leaves_nothing(
    receiving: Receiving, data: bytes, status: int, reason: str
) -> None:
    with pytest.raises(Refused, match=reason) as refusal:
        receiving.take(data)
    assert refusal.value.status == status
    assert len(str(refusal.value)) <= 64
    assert receiving.files() == {}


def test_a_deflated_instance_is_understood_and_kept_as_it_came(receiving: Receiving) -> None:
    data = encode(mammogram(UID, pixel_bytes=1000, ImageLaterality="R"), DEFLATED)
    instance = receiving.take(data, transfer_syntax_uid=DEFLATED)
    assert instance.attributes.image_laterality == "R"
    assert receiving.store.resolve(instance.path).read_bytes() == b"head" + data


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_text_that_databases_refuse_is_made_storable(receiving: Receiving) -> None:
    instance = receiving.take(
        data_set(UID, StudyDescription="a\0b" * 5000, ImageType=["ORIGINAL", "PRI\0MARY"], PatientID="1\0")
    )
    assert instance.attributes.image_type == ("ORIGINAL", "PRIMARY")
    assert receiving.study().attributes.patient_id == "1"
    assert receiving.study().attributes.study_description == ("ab" * 5000)[:1024]


def test_a_database_that_is_away_is_a_transient_error_and_a_second_try_succeeds(receiving: Receiving) -> None:
    stopped, receiving.writer = receiving.writer, Writer(receiving.sessions)
    stopped.stop()
    working, receiving.writer = receiving.writer, stopped
    with pytest.raises(TransientError):
        receiving.take(data_set(UID))
    receiving.writer = working
    receiving.take(data_set(UID), seconds=60)
    assert receiving.study().last_received_at == after(60)
