"""The workbench: a node without processes on a new database and disk."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import event
from sqlalchemy.orm import Session

from glam_node.inference.findings import FindingKind
from glam_node.inference.mammogram import Laterality
from glam_node.inference.phantom import make_exam
from glam_node.inference.threshold import ThresholdPredictor, threshold_package
from glam_node.node.db import migrate, studies
from glam_node.node.db.engine import SessionFactory, open_database
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.operate.operator_study import shown_state
from tests.unit.workflow.workbench import BOTH, Workbench


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty database, to be copied."""
    path = tmp_path_factory.mktemp("database") / "node.sqlite"
    migrate.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def bench(tmp_path: Path, migrated: Path) -> Iterator[Workbench]:
    """Return a node without processes."""
    sessions = open_database(f"sqlite:///{shutil.copy(migrated, tmp_path)}")
    predictor = ThresholdPredictor.from_package(threshold_package(tmp_path / "package"), "cpu")
    with versions_checked(sessions):
        yield Workbench(sessions, InstanceStore(tmp_path / "root"), predictor)
    sessions.kw["bind"].dispose()


@contextmanager
def versions_checked(sessions: SessionFactory) -> Iterator[None]:
    """Check at each commit that a study has a new version if a person would see it differently now."""
    known: dict[str, tuple[str, int]] = {}
    overlooked: list[str] = []

    def compare(session: Session) -> None:
        session.flush()
        for study in studies.recent(session, 1000):
            words, (words_before, before) = shown_state(session, study), known.get(study.study_instance_uid, ("", -1))
            if words != words_before and study.version <= before:
                overlooked.append(f"it was {words_before}, it is {words}")
            known[study.study_instance_uid] = (words, study.version)

    event.listen(sessions, "before_commit", compare)
    yield
    assert not overlooked


@pytest.fixture(scope="session")
def exam() -> list[Dataset]:
    """Return R CC, L CC, R MLO and L MLO; the left breast has a malignant lesion that shows in both views."""
    lesions = [(FindingKind.MALIGNANT, Laterality.LEFT)]
    return [view.dataset for view in make_exam(7, rows=64, columns=48, lesions=lesions)]


@pytest.fixture
def reported(bench: Workbench, exam: list[Dataset]) -> Workbench:
    """Return a node with two results for each of two archives."""
    bench.destinations = {"archive": BOTH, "other": BOTH}
    bench.run(bench.submitted(exam[1]))
    return bench
