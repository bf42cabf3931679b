"""Files of a backup: copies with their SHA-256, and the manifest that lists them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from glam_node.node.errors import PermanentError
from glam_node.node.storage.files import PRIVATE_DIRECTORY, make_directory, write_durably

_CHUNK_BYTES = 1 << 20
_MANIFEST = "manifest.json"
SETTINGS = "node.toml"
"""Name of the copy of the settings, which a person enters into the restored node."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The contents of a backup."""

    version: str
    """The version of glam-node that made the backup."""
    schema: str
    """The revision of the database schema."""
    created_at: str
    database: str
    """The file name of the copy of the database."""
    everything: bool
    """Whether the backup includes the files of studies whose work is done."""
    files: Mapping[str, str]
    """SHA-256 by path relative to the backup, of all files but the manifest."""

    def is_of_storage_root(self, path: str) -> bool:
        """Return whether the file belongs at the same path in the storage root; settings and database do not."""
        return path not in (self.database, SETTINGS)

    def write(self, directory: Path) -> None:
        """Write the manifest to a directory. Raises OSError."""
        write_durably(directory / _MANIFEST, json.dumps(asdict(self), indent=1).encode())


def read_manifest(directory: Path) -> Manifest:
    """Read the manifest of the backup in a directory.

    Raises:
        PermanentError: There is no manifest, it is damaged, or it names files outside the directory.
    """
    try:
        manifest = Manifest(**json.loads((directory / _MANIFEST).read_bytes()))
        paths = [Path(path) for path in (*manifest.files, manifest.database)]
    except FileNotFoundError as error:
        raise PermanentError(f"{directory} is not a backup of glam-node: it has no {_MANIFEST}.") from error
    except (ValueError, TypeError) as error:
        raise PermanentError(f"{directory / _MANIFEST} is damaged: {error}. Take another backup.") from error
    if any(path.is_absolute() or ".." in path.parts for path in paths):
        raise PermanentError(f"{directory / _MANIFEST} names files outside the backup. Take another backup.")
    return manifest


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as hex digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy(source: Path, target: Path) -> str:
    """Copy a file durably, readable by this user only; return its SHA-256 as hex digits. Raises OSError."""
    digest = hashlib.sha256()

    def write(out: BinaryIO) -> None:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            out.write(chunk)

    make_directory(target.parent, PRIVATE_DIRECTORY)
    with source.open("rb") as file:
        write_durably(target, write)
    target.chmod(0o600)
    return digest.hexdigest()
