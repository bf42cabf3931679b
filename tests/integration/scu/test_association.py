"""Failures of associations: each message explains the cause and helps."""

import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from pynetdicom import build_context
from pynetdicom.association import Association

from glam_node.node.errors import NodeError, PermanentError, TransientError
from glam_node.node.scu.association import REJECTIONS, RemoteAE, open_association
from tests.hl7.raw_engine import raw_peer
from tests.integration.archive import VERIFICATION, Archive, listening
from tests.integration.scu.conftest import peer_at
from tests.ports import free_port

A_ABORT = bytes.fromhex("07 00 00000004 0000 0000")


def failure_of(peer: RemoteAE) -> NodeError:
    """Return the error of an association with the peer."""
    with pytest.raises(NodeError) as caught, open_association(peer, [build_context(VERIFICATION)]):
        pass
    return caught.value


def reject(result: int, source: int, reason: int) -> Callable[[socket.socket], None]:
    """Return a peer that answers with this A-ASSOCIATE-RJ."""

    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(bytes((3, 0, 0, 0, 0, 4, 0, result, source, reason)))
        connection.recv(1)

    return talk


def test_a_wrong_called_ae_title_is_named_with_the_setting_to_check(archive: Archive) -> None:
    error = failure_of(peer_at(archive.port, ae_title="WRONG"))
    assert isinstance(error, PermanentError)
    assert str(error) == (
        f"WRONG at 127.0.0.1:{archive.port} rejected the association: called AE title not recognized. "
        "Check destinations.archive.ae_title."
    )


def test_a_calling_ae_title_that_the_archive_does_not_know_is_named() -> None:
    with listening(Archive(calling_ae_titles=["OTHER"])) as archive:
        error = failure_of(peer_at(archive.port))
    assert isinstance(error, PermanentError)
    assert "calling AE title not recognized. Register GLAMNODE at the archive" in str(error)


@pytest.mark.parametrize(("source", "reason"), REJECTIONS)
@pytest.mark.parametrize("result", [1, 2])
def test_every_rejection_keeps_its_codes_and_says_why(result: int, source: int, reason: int) -> None:
    rejection = REJECTIONS[source, reason]
    with raw_peer(reject(result, source, reason)) as port:
        error = failure_of(peer_at(port))
    assert error.status == result << 16 | source << 8 | reason
    assert f"rejected the association: {rejection.reason}." in str(error)
    assert isinstance(error, TransientError) == (rejection.transient or result == 2)


def test_a_port_without_a_listener_is_a_transient_failure() -> None:
    port = free_port()
    error = failure_of(peer_at(port))
    assert isinstance(error, TransientError)
    assert f"ARCHIVE at 127.0.0.1:{port} cannot be reached: connection refused." in str(error)
    assert "destinations.archive.port" in str(error)


def test_a_name_without_an_address_is_a_transient_failure() -> None:
    error = failure_of(RemoteAE("archive", "ARCHIVE", "no-such-host.invalid", 104, 1.0, "GLAMNODE"))
    assert isinstance(error, TransientError)
    assert "Check destinations.archive.host." in str(error)


def test_the_node_gives_up_a_silent_peer_after_the_timeout() -> None:
    def say_nothing(connection: socket.socket) -> None:
        while connection.recv(65536):
            pass

    with raw_peer(say_nothing) as port:
        error = failure_of(peer_at(port, timeout=0.5))
    assert isinstance(error, TransientError)
    assert "did not answer the association request within 0.5 s" in str(error)


@pytest.mark.parametrize("answer", [b"", A_ABORT, b"HTTP/1.1 400 Bad Request\r\n\r\n"], ids=["close", "abort", "web"])
def test_a_peer_that_breaks_off_is_transient(answer: bytes) -> None:
    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(answer)

    with raw_peer(talk) as port:
        error = failure_of(peer_at(port))
    assert isinstance(error, TransientError)
    assert ("answers with HTTP" if b"HTTP" in answer else "closed it without an answer") in str(error)


def test_a_peer_that_accepts_no_context_is_permanent() -> None:
    with listening(Archive(contexts=[build_context("1.2.840.10008.5.1.4.1.1.7")])) as archive:
        error = failure_of(peer_at(archive.port))
    assert isinstance(error, PermanentError)
    assert "accepts none of: Verification SOP Class (Implicit VR Little Endian)" in str(error)


def test_an_association_is_released_at_the_end(archive: Archive) -> None:
    with open_association(peer_at(archive.port), [build_context(VERIFICATION)]) as association:
        assert association.is_established
    assert association.is_released


def test_an_association_is_aborted_after_an_error(archive: Archive) -> None:
    with pytest.raises(KeyError), open_association(peer_at(archive.port), [build_context(VERIFICATION)]) as association:
        raise KeyError
    assert association.is_aborted


def test_a_clock_that_jumps_ahead_ends_no_association() -> None:
    now = datetime.now(UTC)
    with (
        listening(Archive(patience_s=None)) as archive,
        time_machine.travel(now, tick=True) as clock,
        open_association(peer_at(archive.port, timeout=10.0), [build_context(VERIFICATION)]) as association,
    ):
        clock.shift(timedelta(days=1))
        # Wait longer than pynetdicom needs to check its timers.
        time.sleep(0.2)
        assert association.send_c_echo().Status == 0x0000


class Starved(Association):
    """An association whose thread is delayed whenever it may continue."""

    @property
    def _is_paused(self) -> bool:
        return bool(self.__dict__["is_paused"])

    @_is_paused.setter
    def _is_paused(self, is_paused: bool) -> None:
        if not is_paused:
            time.sleep(0.03)
        self.__dict__["is_paused"] = is_paused


def test_pynetdicoms_thread_takes_no_awaited_answer_on_a_busy_machine(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_association(peer_at(archive.port, timeout=10.0), [build_context(VERIFICATION)]) as association:
        send = association.dimse.send_msg

        def send_and_get_no_turn(*message: Any) -> None:
            send(*message)
            time.sleep(0.06)

        monkeypatch.setattr(association.dimse, "send_msg", send_and_get_no_turn)
        association.__dict__["is_paused"] = association._is_paused
        association.__class__ = Starved
        for _ in range(5):
            assert association.send_c_echo().Status == 0x0000
