"""Floods of connections, incomplete requests and sign-ins, during which the console answers other clients."""

import resource
import shutil
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil
import pytest
import uvicorn

from glam_node.node.bootstrap import build_node
from glam_node.node.console import connections
from glam_node.node.console.app import create_console
from glam_node.node.console.connections import Guard
from glam_node.node.console.server import configuration
from glam_node.node.run.listening_sockets import console_sockets
from glam_node.node.run.supervisor import Child, stop_together
from glam_node.node.tls.contexts import CertificateFiles, server_context
from glam_node.node.tls.reloading import ReloadingContext
from glam_node.settings.console import ConsoleSettings
from glam_node.settings.schema import Settings, StorageSettings
from tests.certificates import Authority, Signed
from tests.integration.console.console_process import console, plain, sign_in
from tests.integration.node_directory import all_ready, write_node
from tests.ports import free_port
from tests.processes import Separate
from tests.waiting import wait_until

FLOOD = 1100
FILES_OF_A_PROCESS = 1024
ANSWERED_S = 1.0


@contextmanager
def served(root: Path, signed: Signed | None = None) -> Iterator[int]:
    """Serve the console of an empty node as its process does."""
    node = build_node(Settings(storage=StorageSettings(root=root)))
    chosen = ConsoleSettings(port=free_port())
    encryption = None
    if signed is not None:
        files = CertificateFiles("console", signed.certificate, signed.key)
        encryption = ReloadingContext(files, partial(server_context, client_certificate=ssl.CERT_NONE))
    server = uvicorn.Server(configuration(create_console(node, chosen.host), chosen, Guard(encryption, ())))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.02)
        yield chosen.port
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(params=["http", "https"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[int, ssl.SSLContext | None]]:
    """Return the port of a console with short limits, and the TLS context that trusts it."""
    monkeypatch.setattr(connections, "HEADER_S", 0.5)
    monkeypatch.setattr(connections, "BODY_S", 0.5)
    signed = authority.sign("any") if request.param == "https" else None
    with served(tmp_path / "root", signed) as port:
        yield port, ssl.create_default_context(cafile=signed.ca) if signed is not None else None


def healthy(port: int, context: ssl.SSLContext | None = None, path: str = "/healthz") -> float:
    """Return the seconds until the console answers with status 200."""
    began = time.monotonic()
    url = f"{'http' if context is None else 'https'}://127.0.0.1:{port}{path}"
    with urllib.request.urlopen(url, timeout=60, context=context) as answer:
        assert answer.status == 200
        answer.read()
    return time.monotonic() - began


@pytest.mark.parametrize("text", ["", "GET / HTTP/1.1\r\nHost: loc", "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc"])
def test_an_incomplete_request_is_closed(place: tuple[int, ssl.SSLContext | None], text: str) -> None:
    port, context = place
    with socket.create_connection(("127.0.0.1", port)) as raw, ExitStack() as stack:
        speaker = raw if context is None else stack.enter_context(context.wrap_socket(raw, server_hostname="localhost"))
        speaker.sendall(text.encode())
        speaker.settimeout(30)
        with suppress(ssl.SSLError, ConnectionResetError):  # the console closes without a TLS alert
            while speaker.recv(65536):
                pass
    healthy(port, context)


def test_a_connection_that_never_starts_tls_is_closed(place: tuple[int, ssl.SSLContext | None]) -> None:
    port, context = place
    with socket.create_connection(("127.0.0.1", port)) as silent:
        silent.settimeout(30)
        with suppress(ConnectionResetError):
            assert silent.recv(1) == b""
    healthy(port, context)


def test_a_request_in_parts_is_answered(place: tuple[int, ssl.SSLContext | None]) -> None:
    port, context = place
    with socket.create_connection(("127.0.0.1", port)) as raw, ExitStack() as stack:
        speaker = raw if context is None else stack.enter_context(context.wrap_socket(raw, server_hostname="localhost"))
        for _ in range(2):  # on one connection
            for part in ("GET /healthz HT", "TP/1.1\r\nHost: localhost", "\r\n\r\n"):
                speaker.sendall(part.encode())
            answer_of(speaker)


CLOSE = b"connection: close"
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@contextmanager
def restartable(path: Path, signed: Signed | None) -> Iterator[tuple[Child, int]]:
    """Run the console's process as `serve` does, and yield it and its port."""
    node, chosen = write_node(path), ConsoleSettings(port=free_port())
    more = f'certificate = "{signed.certificate}"\nkey = "{signed.key}"' if signed else ""
    with node.settings_path.open("a") as settings:
        settings.write(f"[console]\nport = {chosen.port}\n{more}\n")
    node.build()
    sockets = console_sockets(chosen)
    child = Separate("console", node.environment(), sockets)
    try:
        wait_until(lambda: all_ready([child]))
        yield child, chosen.port
    finally:
        stop_together([child])
        for one in sockets:
            one.close()


@pytest.mark.parametrize("encrypted", [False, True])
def test_requests_before_and_during_a_restart_for_other_settings_are_answered(
    encrypted: bool, tmp_path: Path, authority: Authority
) -> None:
    signed = authority.sign("any") if encrypted else None
    context = ssl.create_default_context(cafile=signed.ca) if signed else None

    def connected(stack: ExitStack) -> socket.socket:
        raw = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
        return raw if context is None else stack.enter_context(context.wrap_socket(raw, server_hostname="localhost"))

    with restartable(tmp_path, signed) as (child, port), ExitStack() as stack:
        former, silent, slow, used = child.pid, *(connected(stack) for _ in range(3))
        slow.sendall(REQUEST[:20])
        used.sendall(REQUEST)
        assert CLOSE not in answer_of(used)
        child.take_settings(child.environment)
        wait_until(lambda: not listens(former))
        slow.sendall(REQUEST[20:])
        for one in (silent, used):
            one.sendall(REQUEST)
        assert [CLOSE in answer_of(one) for one in (silent, slow, used)] == [True, True, True]
        later = connected(stack)
        later.sendall(REQUEST)
        assert CLOSE not in answer_of(later)
        wait_until(lambda: all_ready([child]) and child.pids == {child.pid})
        assert child.pid != former


def answer_of(connection: socket.socket) -> bytes:
    answer = b""
    while not answer.endswith(b"ok\n"):
        received = connection.recv(65536)
        assert received, answer
        answer += received
    assert answer.startswith(b"HTTP/1.1 200")
    return answer


def listens(pid: int) -> bool:
    return any(one.status == psutil.CONN_LISTEN for one in psutil.Process(pid).net_connections())


def test_a_renewed_certificate_is_used_without_a_restart(tmp_path: Path, authority: Authority) -> None:
    certificate, key = tmp_path / "console.pem", tmp_path / "console.key"

    def renew(name: str) -> ssl.SSLContext:
        signed = authority.sign(name)
        shutil.copyfile(signed.certificate, certificate)
        shutil.copyfile(signed.key, key)
        return ssl.create_default_context(cafile=signed.ca)

    context = renew("before")
    with console(write_node(tmp_path), f'certificate = "{certificate}"\nkey = "{key}"') as port:
        assert "before" in presented(port, context)
        renew("after")
        assert "after" in presented(port, context)
        key.write_text("damaged")
        assert "after" in presented(port, context)
        healthy(port, context)


def presented(port: int, context: ssl.SSLContext) -> str:
    """Return the subject of the certificate that the console presents."""
    with (
        socket.create_connection(("127.0.0.1", port)) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as encrypted,
    ):
        return str((encrypted.getpeercert() or {})["subject"])


@pytest.mark.alone
@pytest.mark.parametrize("encrypted", [False, True])
def test_incomplete_requests_from_one_address_keep_no_other_address_out(
    encrypted: bool, tmp_path: Path, authority: Authority
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    signed = authority.sign("any")
    more = f'certificate = "{signed.certificate}"\nkey = "{signed.key}"' if encrypted else ""
    context = ssl.create_default_context(cafile=signed.ca) if encrypted else None
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES_OF_A_PROCESS, hard))
    try:
        with console(write_node(tmp_path), more) as port, ExitStack() as stack:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * FLOOD), hard))
            for _ in range(FLOOD):
                half = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                half.sendall(b"\x16\x03" if encrypted else b"GET / HTTP/1.1\r\nHost: localhost\r\n")
            for path in ("/healthz", "/metrics", "/sign-in") * 2:
                assert healthy(port, context, path) < ANSWERED_S
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.alone
def test_many_sign_ins_at_once_do_not_delay_monitoring(tmp_path: Path) -> None:
    # Through a trusted proxy, eighty addresses try to sign in, and none reaches the limit on wrong passwords.
    with console(write_node(tmp_path), 'trusted_proxies = ["127.0.0.1"]') as port, ThreadPoolExecutor(80) as people:
        wrong = [people.submit(_wrong_password, port, number) for number in range(80)]
        while not all(one.done() for one in wrong):
            for path in ("/healthz", "/metrics"):
                assert healthy(port, None, path) < ANSWERED_S
        assert {one.result() for one in wrong} <= {401, 503}
        assert 401 in {one.result() for one in wrong}


def _wrong_password(port: int, number: int) -> int:
    return sign_in(plain(port), f"user{number}", "wrong", X_Forwarded_For=f"10.9.8.{number}")[0]
