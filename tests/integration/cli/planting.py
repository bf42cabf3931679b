"""Helpers that plant one mistake in the settings of a sound node and check that `doctor` finds it."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import build_context

from glam_node.inference.card import DEFAULT_PACKAGE
from glam_node.node.domain.commitment import PUSH_MODEL
from tests.certificates import Authority
from tests.command_line import glam_node
from tests.integration.archive import Archive, default_contexts, listening
from tests.integration.postgresql import postgresql_server
from tests.ports import free_port

Tree = dict[str, Any]


@dataclass
class Plot:
    """The place of the planted mistakes: a directory, an archive and other servers."""

    path: Path
    archive: Archive
    authority: Authority
    peers: ExitStack = field(default_factory=ExitStack)
    """Servers of one mistake; they are stopped after its test."""
    lasting: ExitStack = field(default_factory=ExitStack)
    """Servers of several mistakes; they are stopped with the plot."""

    @cached_property
    def postgresql(self) -> Path:
        """Directory of the socket of a running PostgreSQL server."""
        return self.lasting.enter_context(postgresql_server())

    def sound(self) -> Tree:
        """Return the settings of a node without a mistake."""
        return {
            "node": {"ae_title": "GLAM7", "host": "127.0.0.1", "port": free_port()},
            "peers": {"pacs": {"ae_title": "ARCHIVE", "hosts": ["127.0.0.1"]}},
            "destinations": {
                "archive": {
                    "ae_title": "ARCHIVE",
                    "host": "127.0.0.1",
                    "port": self.archive.port,
                    "timeout": 5.0,
                    "storage_commitment": True,
                }
            },
            "storage": {"root": str(self.path / "storage"), "minimum_free_bytes": 1000},
            "retention": {"free_bytes": 2000},
            "inference": {"package": str(self.package), "device": "cpu"},
        }

    @property
    def package(self) -> Path:
        return self.path / "package"

    def signed(self, name: str, **dates: timedelta) -> Any:
        return self.authority.sign(f"{name}{free_port()}", **dates)


def examined(plot: Plot, tree: Tree, *without: str) -> dict[str, dict[str, str]]:
    """Run `doctor` and return its lines by the name of the check."""
    path = plot.path / "node.json"
    path.write_text(json.dumps(tree))
    options = [word for name in without for word in ("--without", name)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        result = glam_node("--settings", path, "doctor", "--json", *options, expect=None)
    lines = {line["check"]: line for line in json.loads(result.stdout)}
    assert result.exit_code == any(line["verdict"] == "FAIL" for line in lines.values())
    return lines


@contextmanager
def plotted(path: Path, authority: Authority) -> Iterator[Plot]:
    """Yield a place for mistakes with a running archive."""
    contexts = [*default_contexts(), build_context(PUSH_MODEL)]
    with listening(Archive(contexts=contexts, calling_ae_titles=["GLAM7"])) as archive:
        made = Plot(path, archive, authority)
        shutil.copytree(DEFAULT_PACKAGE, made.package)
        with made.lasting:
            yield made


Plant = Callable[[Plot, Tree], None]


@dataclass(frozen=True)
class Case:
    """A mistake and the line of `doctor` that must find it."""

    what: str
    plant: Plant
    check: str
    """Name of the only check that must find the mistake."""
    told: tuple[str, ...]
    """Words that its fact or remedy must have."""
    verdict: str = "FAIL"
    beside: frozenset[str] = frozenset()
    """Other checks that may also fail because of the mistake."""
    asks: frozenset[str] = frozenset()
    """Slow checks that must run for this mistake."""


def put(*path: str, value: Any) -> Plant:
    def plant(_plot: Plot, tree: Tree) -> None:
        inner = tree
        for segment in path[:-1]:
            inner = inner.setdefault(segment, {})
        inner[path[-1]] = value

    return plant


def archive(tree: Tree) -> Tree:
    inner: Tree = tree["destinations"]["archive"]
    return inner


def is_found(plot: Plot, case: Case, tree: Tree | None = None) -> None:
    """Plant a mistake and assert that the right check, and no other, finds it and says what to do."""
    tree = plot.sound() if tree is None else tree
    with plot.peers:
        case.plant(plot, tree)
        lines = examined(plot, tree, *{"storage", "model"} - case.asks)
    is_named(case, lines)


def is_named(case: Case, lines: dict[str, dict[str, str]]) -> None:
    """Assert that the right check, and no other, finds the mistake and says what to do."""
    wrong = {name for name, line in lines.items() if line["verdict"] != "ok"} - case.beside
    assert wrong == {case.check}, lines
    line = lines[case.check]
    assert line["verdict"] == case.verdict
    assert line["remedy"]
    assert [words for words in case.told if words not in f"{line['fact']} {line['remedy']}"] == []
    assert "hunter" not in json.dumps(lines)
