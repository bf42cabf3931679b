"""The demo from start to end: a modality sends, the node analyses, an archive stores, pictures are drawn."""

import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydicom.uid import UID

from glam_node.inference.findings import Findings
from glam_node.node.demo import archive, modality
from glam_node.node.demo.exam import Exam, phantom_exam, read_exam
from glam_node.node.demo.node_process import AE_TITLE, DemoNode, free_port, running_node, write_settings
from glam_node.node.demo.pictures import draw_pictures, stored_segmentations
from glam_node.node.demo.progress import open_demo_database, wait_until_done
from glam_node.node.domain.words import counted
from glam_node.node.errors import NodeError, PermanentError
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.storage.findings import latest_findings
from glam_node.node.workflow.operate.study_progress import Progress

SEED = 1
RESULTS_WITHIN_S = 900.0
SETTINGS = "node.toml"
MARKER_FILE = ".glam-node-demo"
"""Name of an empty file that marks the folder of a demo, which the next demo may clear."""
WRITTEN_NAMES = (SETTINGS, "node.log", "exam", "storage", "archive", "pictures")
"""Names of the files and folders that a demo writes, and that the next demo removes."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class StudyResult:
    """The result of one study."""

    progress: Progress
    findings: Findings | None
    """Findings of the study; None if it was not eligible."""
    pictures: tuple[Path, ...]

    @property
    def object_counts(self) -> Counter[str]:
        """Number of delivered objects by name of their SOP class."""
        return Counter(UID(delivery.sop_class_uid).name for delivery in self.progress.deliveries)


@dataclass(frozen=True, slots=True)
class DemoResult:
    """The result of the demo."""

    folder: Path
    results: tuple[StudyResult, ...]
    left_out: tuple[str, ...]
    """Files that were not sent and images that the node refused, each with the reason."""

    @property
    def archive(self) -> Path:
        """Folder with the objects that the archive received."""
        return self.folder / "archive"

    @property
    def settings_path(self) -> Path:
        """Settings file of the node."""
        return self.folder / SETTINGS


def run_demo(folder: Path, *, source: Path | None, fast: bool, tell: Tell) -> DemoResult:
    """Send an exam through a node to an archive, draw pictures, and stop everything.

    Args:
        folder: The folder for everything that the demo writes.
        source: A folder with DICOM files to send; None sends a phantom exam.
        fast: Whether to use a small exam and no neural network.
        tell: A function that is called with a line of text at every step.

    Raises:
        PermanentError: The folder cannot be used, or the results do not arrive; the message names the node's log.
    """
    _prepare_folder(folder, source)
    tell("making a phantom exam" if source is None else f"reading {source}")
    exam = _exam(folder, source, fast)
    with archive.running_archive(folder / "archive", AE_TITLE) as receiving:
        tell("starting the node; its worker loads the model")
        port = free_port()
        node = DemoNode(port, folder / SETTINGS, folder / "node.log")
        write_settings(node.settings_path, port=port, archive_port=receiving.port, fast=fast)
        with running_node(node):
            studies, refused = _send_and_wait(exam, node, folder / "storage", tell)
        tell("drawing pictures from the stored segmentations")
        sources = {instance.sop_instance_uid: instance.path for instance in exam.instances}
        results = tuple(_study_result(progress, folder, receiving, sources) for progress in studies)
    return DemoResult(folder, results, (*exam.left_out, *refused))


def _prepare_folder(folder: Path, source: Path | None) -> None:
    """Create `folder`, or remove the files of an earlier demo from it.

    Raises:
        PermanentError: The folder contains files that no demo wrote, or contains `source`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()) and not (folder / MARKER_FILE).is_file():
        raise PermanentError(f"{folder} is not empty, and no demo wrote it. Name another folder with --out.")
    if source is not None and source.resolve().is_relative_to(folder.resolve()):
        raise PermanentError(f"{source} lies in {folder}, which every demo clears. Name another folder with --out.")
    (folder / MARKER_FILE).touch()
    for name in WRITTEN_NAMES:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _exam(folder: Path, source: Path | None, fast: bool) -> Exam:
    if source is not None:
        return read_exam(source)
    rows, columns = (416, 320) if fast else (3328, 2560)
    return phantom_exam(folder / "exam", SEED, rows, columns)


def _send_and_wait(exam: Exam, node: DemoNode, root: Path, tell: Tell) -> tuple[list[Progress], list[str]]:
    """Send the exam and wait for its results.

    Returns:
        The finished studies, and the reason for each image that the node refused.

    Raises:
        PermanentError: The node stored no image, or the results do not arrive.
    """
    try:
        tell(f"the modality sends {counted(len(exam.instances), 'image')} by C-STORE")
        outcomes = modality.send(exam.instances, AE_TITLE, node.port)
        uids = dict.fromkeys(exam.studies[outcome.sop_instance_uid] for outcome in outcomes if outcome.stored)
        with open_demo_database(root) as sessions:
            studies = wait_until_done(sessions, tuple(uids), tell, RESULTS_WITHIN_S)
    except NodeError as error:
        raise PermanentError(f"{error} The node's log: {node.log_path}") from error
    return studies, [outcome.failure for outcome in outcomes if not outcome.stored]


def _study_result(
    progress: Progress, folder: Path, receiving: archive.Archive, sources: Mapping[str, Path]
) -> StudyResult:
    missing = [one.sop_instance_uid for one in progress.deliveries if not receiving.has(one.sop_instance_uid)]
    if missing:
        raise PermanentError(
            f"The node reports results as stored that the archive does not have: {', '.join(missing)}."
        )
    findings = latest_findings(folder / "storage", progress.jobs)
    if findings is None:
        return StudyResult(progress, None, ())
    segmentations = stored_segmentations(receiving.files(), findings.study_instance_uid)
    pictures = draw_pictures(findings, sources, segmentations, folder / "pictures", ResultIdentity())
    return StudyResult(progress, findings, tuple(pictures))
