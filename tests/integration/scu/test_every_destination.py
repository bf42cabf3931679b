"""The contract of `Destination`, which every kind of destination keeps, with a real peer of each kind."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pydicom.uid import generate_uid

from glam_node.node.bootstrap.node import built_destination
from glam_node.node.domain.ports import Destination, OutgoingInstance
from glam_node.node.scu.echo import echo
from glam_node.settings.destinations import (
    DESTINATIONS_BY_KIND,
    CStoreSettings,
    DestinationSettings,
    FolderSettings,
    HL7Settings,
    StowSettings,
)
from tests.hl7.raw_engine import accepting, outgoing_in, raw
from tests.integration.archive import Archive, listening
from tests.integration.scu.conftest import Outgoing
from tests.ports import free_port
from tests.posts import Posts

Result = Callable[[], OutgoingInstance]


@dataclass(frozen=True)
class Place:
    """A destination of one kind that works, and one that is down."""

    works: DestinationSettings
    is_down: DestinationSettings
    count: Callable[[], int]
    """Function that returns how many objects the working one has received."""

    def destination(self) -> Destination:
        """Return the working destination as the node builds it."""
        return built_destination("x", self.works, "GLAMNODE")[0]


@contextmanager
def archive(_: Path) -> Iterator[Place]:
    with listening(Archive()) as peer:
        works = CStoreSettings(host="127.0.0.1", port=peer.port)
        yield Place(works, works.model_copy(update={"port": free_port()}), lambda: len(peer.received))


@contextmanager
def web_server(_: Path) -> Iterator[Place]:
    posts = Posts("/dicom-web/studies", ill_status=500)
    with posts.listening():
        works = StowSettings(kind="stow-rs", host="127.0.0.1", port=posts.server.server_port)
        yield Place(works, works.model_copy(update={"port": free_port()}), lambda: len(posts.bodies))


@contextmanager
def folder(path: Path) -> Iterator[Place]:
    (path / "file").touch()
    works, is_down = (FolderSettings(kind="folder", path=path / one / "results") for one in ("there", "file"))
    yield Place(works, is_down, lambda: len(list(works.path.glob("*.dcm"))))


@contextmanager
def engine(_: Path) -> Iterator[Place]:
    with raw(accepting) as (peer, port):
        works = HL7Settings(kind="hl7", port=port)
        yield Place(works, works.model_copy(update={"port": free_port()}), lambda: len(peer.messages))


PLACES: Mapping[str, Callable[[Path], AbstractContextManager[Place]]] = {
    "c-store": archive,
    "stow-rs": web_server,
    "folder": folder,
    "hl7": engine,
}


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with PLACES[request.param](tmp_path) as one:
        yield one


@pytest.fixture
def result(place: Place, outgoing: Outgoing, tmp_path: Path) -> Result:
    """Return a function that writes a result of a kind which the destination gets."""
    if isinstance(place.works, HL7Settings):
        return lambda: outgoing_in(tmp_path, generate_uid())
    return outgoing


def test_every_kind_of_destination_is_tried_here() -> None:
    assert PLACES.keys() == DESTINATIONS_BY_KIND.keys(), "add a function to PLACES that starts a peer of the kind"


def test_objects_are_stored_in_order_and_again(place: Place, result: Result) -> None:
    instances, destination = [result(), result()], place.destination()
    assert destination.name == "x"
    for _ in range(2):
        outcomes = destination.store(instances)
        assert [(one.sop_instance_uid, one.stored, one.failure) for one in outcomes] == [
            (one.sop_instance_uid, True, "") for one in instances
        ]
    assert place.count() >= len(instances)


def test_no_objects_have_no_outcomes(place: Place) -> None:
    assert place.destination().store([]) == []


def test_a_result_without_its_file_does_not_delay_others(place: Place, result: Result, tmp_path: Path) -> None:
    away, there = replace(result(), path=tmp_path / "away"), result()
    first, second = place.destination().store([away, there])
    assert (first.stored, first.transient, first.reached, second.stored) == (False, True, True, True)
    assert "away" in first.failure


def test_a_destination_that_is_down_is_transient_for_every_object_and_named(place: Place, result: Result) -> None:
    outcomes = built_destination("x", place.is_down, "GLAMNODE")[0].store([result(), result()])
    assert [(one.stored, one.transient, one.reached) for one in outcomes] == [(False, True, False)] * 2
    assert all("destinations.x." in one.failure for one in outcomes)


def test_echo_tells_a_destination_that_works_from_one_that_is_down(place: Place) -> None:
    assert [echo("x", one, "GLAMNODE").ok for one in (place.works, place.is_down)] == [True, False]
    assert "destinations.x" in echo("x", place.is_down, "GLAMNODE").message


def test_a_destination_says_on_pages_what_it_is_and_where(place: Place) -> None:
    assert place.works.title
    assert place.works.address
