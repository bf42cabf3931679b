"""Tests that `doctor` finds a storage root on a real disk that is read-only, full, or of another user."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.cli.planting import Case, Plant, Plot, Tree, is_found, is_named
from tests.integration.node_directory import REPOSITORY
from tests.ports import free_port

STORAGE = frozenset({"storage"})
SOMEBODY = 4711


def mounted(plot: Plot, tree: Tree, *options: str) -> Path:
    """Mount a separate disk as storage root until the test ends, and return its path."""
    root = plot.path / f"disk{free_port()}"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(root)], check=True)
    plot.peers.callback(subprocess.run, ["umount", str(root)], check=True)
    tree["storage"]["root"] = str(root)
    return root


def read_only(below: str = "") -> Plant:
    def plant(plot: Plot, tree: Tree) -> None:
        tree["storage"]["root"] = str(mounted(plot, tree, "ro") / below)

    return plant


def full(plot: Plot, tree: Tree) -> None:
    root = mounted(plot, tree, "size=1m")
    with pytest.raises(OSError, match="No space left"), (root / "ballast").open("wb") as ballast:
        os.posix_fallocate(ballast.fileno(), 0, 2**21)
    with (root / "ballast").open("wb") as ballast:
        os.posix_fallocate(ballast.fileno(), 0, 2**20)


def without_room_for_names(plot: Plot, tree: Tree) -> None:
    root = mounted(plot, tree, "nr_inodes=2")
    (root / "last").touch()


CASES = [
    Case("a disk that is mounted read-only", read_only(), "storage",
         ("Read-only file system", "mounted read-only", "mount it for writing"), asks=STORAGE),
    Case("a directory to be made on such a disk", read_only("glam/node"), "storage", ("mounted read-only",),
         asks=STORAGE),
    Case("a full disk", full, "storage", ("No space left on device", "is full: make room"), asks=STORAGE),
    Case("a disk that takes no more files", without_room_for_names, "storage", ("is full: make room",), asks=STORAGE),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.what for case in CASES])
def test_a_disk_that_cannot_be_written_is_found_and_named(plot: Plot, case: Case) -> None:
    is_found(plot, case)


OTHERS = {"retention", "ports", "certificates", "C-ECHO", "database", "broker", "destinations.archive", "model"}


@pytest.mark.parametrize(
    ("mode", "inside", "command"),
    [
        (0o700, "", "sudo chown -R {user} {root}"),
        (0o555, "", "sudo chown -R {user} {root}"),
        (0o700, "storage", "sudo chmod o+x {theirs}"),
        (0o555, "storage", "sudo install -d -o {user} -m 700 {root}"),
    ],
)
def test_a_directory_of_another_user_is_found_and_named(plot: Plot, mode: int, inside: str, command: str) -> None:
    """Run as root without its right to write everywhere, as a service under systemd does."""
    tree, theirs = plot.sound(), plot.path / f"theirs{mode:o}{inside}"
    root = theirs / inside if inside else theirs
    theirs.mkdir()
    os.chown(theirs, SOMEBODY, SOMEBODY)
    theirs.chmod(mode)
    tree["storage"]["root"] = str(root)
    settings = plot.path / "theirs.json"
    settings.write_text(json.dumps(tree))
    rights = "-dac_override,-dac_read_search"
    without = [word for name in sorted(OTHERS) for word in ("--without", name)]
    limited = ("setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}", "--")
    done = subprocess.run(
        [*limited, sys.executable, "-m", "glam_node", "--settings", str(settings), "doctor", "--json", *without],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    remedy = command.format(user=os.getuid(), root=root, theirs=theirs)
    told = ("Permission denied", f"{theirs} belongs to user {SOMEBODY}", f"`{remedy}`")
    case = Case("a directory of another user", lambda _plot, _tree: None, "storage", told)
    is_named(case, {line["check"]: line for line in json.loads(done.stdout)})
