"""Real servers on free ports, shared by all integration tests."""

from collections.abc import Iterator

import pytest

from tests.integration.archive import Archive, listening


@pytest.fixture(scope="session")
def _session_archive() -> Iterator[Archive]:
    with listening(Archive()) as running:
        yield running


@pytest.fixture
def archive(_session_archive: Archive) -> Archive:
    """A Storage SCP on a free port that remembers what it was sent in this test."""
    _session_archive.forget()
    return _session_archive
