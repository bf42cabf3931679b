"""Tests of the refusal of network file systems for SQLite."""

from pathlib import Path

import pytest

from glam_node.node.db.local_disk import refuse_network_disk
from glam_node.node.errors import PermanentError

MOUNTS = r"""/dev/sda1 / ext4 rw 0 0
filer:/export /mnt/filer nfs4 rw 0 0
//host/share /mnt/my\040share cifs rw 0 0
/dev/sdb1 /mnt/filer/local xfs rw 0 0
"""


def check(tmp_path: Path, url: str) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    refuse_network_disk(url, mounts)


@pytest.mark.parametrize("path", ["/mnt/filer/node.sqlite", "/mnt/my share/node.sqlite"])
def test_a_network_disk_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(PermanentError, match="PostgreSQL"):
        check(tmp_path, f"sqlite:///{path}")


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////srv/node.sqlite",
        "sqlite:////mnt/filer/local/node.sqlite",
        "sqlite:////mnt/filer2/node.sqlite",
        "sqlite://",
        "postgresql+psycopg://host/mnt/filer",
    ],
)
def test_a_local_disk_or_postgresql_is_accepted(tmp_path: Path, url: str) -> None:
    check(tmp_path, url)


def test_a_path_is_accepted_if_the_mounts_are_unknown(tmp_path: Path) -> None:
    refuse_network_disk("sqlite:////mnt/filer/node.sqlite", tmp_path / "none")
