"""Copies of files that are known by their SHA-256, and the list of them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from glam_node.node.errors import PermanentError
from glam_node.node.storage.files import PRIVATE_DIRECTORY, make_directory, write_durably

_CHUNK = 1 << 20
_NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds."""

    version: str
    """Of the glam-node that made it."""
    schema: str
    """Revision of the database."""
    created_at: str
    database: str
    """Name of the database's copy."""
    everything: bool
    """Whether the files of studies that were done are there, too."""
    files: Mapping[str, str]
    """SHA-256 by path, which is relative to the backup, and but for the database's to the storage root."""

    def write(self, directory: Path) -> None:
        """It lies in the directory."""
        write_durably(directory / _NAME, json.dumps(asdict(self), indent=1).encode())


def read_manifest(directory: Path) -> Manifest:
    """What the backup says that it holds. Raises PermanentError when there is none, or it is damaged."""
    try:
        manifest = Manifest(**json.loads((directory / _NAME).read_bytes()))
        paths = [Path(path) for path in (*manifest.files, manifest.database)]
    except FileNotFoundError as error:
        raise PermanentError(f"{directory} is no backup of a glam-node: {_NAME} is not in it.") from error
    except (ValueError, TypeError) as error:
        raise PermanentError(f"{directory / _NAME} is damaged: {error}. Take another backup.") from error
    if any(path.is_absolute() or ".." in path.parts for path in paths):
        raise PermanentError(f"{directory / _NAME} names files outside of the backup. Take another backup.")
    return manifest


def sha256_of(path: Path) -> str:
    """Hex digest of the file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy(source: Path, target: Path) -> str:
    """The SHA-256 of `source`, of which `target` is a durable copy for this user alone. Raises OSError."""
    digest = hashlib.sha256()

    def write(out: BinaryIO) -> None:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            out.write(chunk)

    make_directory(target.parent, PRIVATE_DIRECTORY)
    with source.open("rb") as file:
        write_durably(target, write)
    target.chmod(0o600)
    return digest.hexdigest()
