"""Debian's redis-server on a free port."""

import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from glam_node.node.errors import TransientError
from glam_node.node.worker.broker import ping
from tests.certificates import Signed
from tests.peers import PEERS
from tests.waiting import wait_for_answer


def redis_server(directory: Path, port: int, *options: str, password: str = "") -> AbstractContextManager[str]:
    """Yield the URL of a Redis that stores nothing on disk and stops with the context."""
    asked = ["--requirepass", password] if password else []
    at = f":{password}@" if password else ""
    return _running(directory, ["--port", str(port), *asked, *options], f"redis://{at}127.0.0.1:{port}/0")


def guarded_redis_server(directory: Path, port: int, signed: Signed, password: str) -> AbstractContextManager[str]:
    """Yield the URL of a Redis that requires TLS and a password."""
    files = ["--tls-cert-file", signed.certificate, "--tls-key-file", signed.key, "--tls-ca-cert-file", signed.ca]
    arguments = ["--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no", "--requirepass", password]
    url = f"rediss://:{password}@127.0.0.1:{port}/0?ssl_cert_reqs=required&ssl_ca_certs={signed.ca}"
    return _running(directory, [*arguments, *map(str, files)], url)


@contextmanager
def _running(directory: Path, options: list[str], url: str) -> Iterator[str]:
    arguments = ["--bind", "127.0.0.1", "--save", "", "--dir", str(directory), *options]
    with subprocess.Popen([PEERS["redis-server"].program, *arguments], stdout=subprocess.DEVNULL) as process:
        try:
            wait_for_broker(url)
            yield url
        finally:
            process.terminate()


def wait_for_broker(url: str) -> None:
    """Wait until a broker answers at `url`."""
    wait_for_answer(lambda: ping(url), TransientError)
