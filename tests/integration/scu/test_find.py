"""The number of mammograms that an archive has of a study."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import pytest
from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.events import Event
from pynetdicom.transport import ThreadedAssociationServer

from glam_node.node.errors import PermanentError, TransientError
from glam_node.node.scu.find import STUDY_ROOT_FIND, count_mammograms
from tests.integration.archive import Archive
from tests.integration.scu.conftest import peer_at
from tests.ports import free_port

STUDY_UID = "2.25.1"


def series(modality: str, count: int | None) -> tuple[int, Dataset]:
    found = Dataset()
    found.Modality = modality
    found.NumberOfSeriesRelatedInstances = count
    return 0xFF00, found


@contextmanager
def answering(*answers: tuple[int, Dataset | None]) -> Iterator[int]:
    """Yield the port of an archive that gives these answers to every query."""
    ae = AE("ARCHIVE")
    ae.add_supported_context(STUDY_ROOT_FIND)

    def handle(_event: Event) -> Iterator[tuple[int, Dataset | None]]:
        yield from answers

    port = free_port()
    server = cast(
        ThreadedAssociationServer,
        ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_FIND, handle)]),
    )
    try:
        yield port
    finally:
        server.shutdown()


def test_the_images_of_all_mammography_series_are_counted_and_no_others() -> None:
    with answering(series("MG", 2), series("MG", 3), series("SEG", 4), series("SR", 1)) as port:
        assert count_mammograms(peer_at(port), STUDY_UID) == 5


def test_a_study_that_the_archive_does_not_know_has_none() -> None:
    with answering() as port:
        assert count_mammograms(peer_at(port), STUDY_UID) == 0


def test_an_archive_that_does_not_count_is_named_with_what_to_do() -> None:
    with answering(series("MG", None)) as port, pytest.raises(PermanentError, match=r"Unset assembly\.confirm_with"):
        count_mammograms(peer_at(port), STUDY_UID)


def test_a_refused_query_is_named_with_its_status() -> None:
    with answering((0xA700, None)) as port, pytest.raises(PermanentError, match="0xA700 to C-FIND"):
        count_mammograms(peer_at(port), STUDY_UID)


def test_an_archive_without_queries_is_named_with_the_missing_service(archive: Archive) -> None:
    with pytest.raises(PermanentError, match=r"accepts no queries .* Allow GLAMNODE to query there"):
        count_mammograms(peer_at(archive.port), STUDY_UID)


def test_an_archive_that_is_away_is_transient() -> None:
    with pytest.raises(TransientError, match="cannot be reached"):
        count_mammograms(peer_at(free_port()), STUDY_UID)
