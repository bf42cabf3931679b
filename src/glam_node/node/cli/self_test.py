"""The self-test of `doctor`: a separate node receives a phantom exam, analyses it and writes results to a folder."""

import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pydicom

from glam_node.inference.phantom import make_exam
from glam_node.node.cli.checks import Check, Verdict
from glam_node.node.demo import modality
from glam_node.node.demo.exam import phantom_exam
from glam_node.node.demo.node_process import AE_TITLE, DemoNode, free_port, running_node
from glam_node.node.demo.pictures import stored_segmentations
from glam_node.node.demo.progress import open_demo_database, wait_until_done
from glam_node.node.domain.words import counted
from glam_node.node.results.overlay import stored_segments
from glam_node.node.workflow.operate.study_progress import Progress, stage_seconds
from glam_node.settings.schema import Settings

SEED = 1
ROWS_AND_COLUMNS = (3328, 2560)
RESULTS_WITHIN_S = 600.0
RESULTS = ["segmentation", "measurement_report"]


def run_self_test(settings: Settings) -> Iterator[Check]:
    """Send a phantom exam through a separate node and check each step, from C-STORE to the results.

    Raises:
        NodeError: The node does not start, or the results do not arrive in time.
    """
    with tempfile.TemporaryDirectory(prefix="glam-node-self-test-") as directory:
        folder = Path(directory)
        exam = phantom_exam(folder / "exam", SEED, *ROWS_AND_COLUMNS)
        node = DemoNode(free_port(), folder / "node.json", folder / "node.log")
        node.settings_path.write_text(json.dumps(_node_settings(settings, folder, node.port)), encoding="utf-8")
        started = time.monotonic()
        with running_node(node):
            ready = time.monotonic()
            yield Check("self-test start", Verdict.OK, f"a separate node is ready in {ready - started:.1f} s")
            outcomes = modality.send(exam.instances, AE_TITLE, node.port)
            sent = time.monotonic()
            yield _check_sending(
                [outcome.failure for outcome in outcomes if not outcome.stored], len(outcomes), sent - ready
            )
            with open_demo_database(folder / "storage") as sessions:
                (progress,) = wait_until_done(
                    sessions, tuple(set(exam.studies.values())), lambda _: None, RESULTS_WITHIN_S
                )
        yield from _check_results(progress, folder / "results", settings)


def _node_settings(settings: Settings, folder: Path, port: int) -> dict[str, object]:
    """Return the settings of the separate node: model, results and eligibility as configured, the rest for the test."""
    tree = settings.model_dump(mode="json", include={"inference", "results", "eligibility"})
    return {
        **tree,
        "node": {"ae_title": AE_TITLE, "host": "127.0.0.1", "port": port},
        "peers": {"modality": {"ae_title": modality.AE_TITLE, "hosts": ["127.0.0.1"]}},
        "destinations": {"folder": {"kind": "folder", "path": str(folder / "results"), "results": RESULTS}},
        "assembly": {"settle_time": 0.5, "quiet_time": 5.0},
        "storage": {"root": str(folder / "storage"), "minimum_free_bytes": 0},
    }


def _check_sending(failures: Sequence[str], count: int, seconds: float) -> Check:
    if failures:
        return Check("self-test C-STORE", Verdict.FAIL, failures[0], "See the message.")
    return Check("self-test C-STORE", Verdict.OK, f"{counted(count, 'image')} stored in {seconds:.1f} s")


def _check_results(progress: Progress, folder: Path, settings: Settings) -> Iterator[Check]:
    took = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in stage_seconds(progress))
    files = sorted(folder.glob("*.dcm"))
    if not progress.jobs or not files:
        rule = f"{progress.study.rule}: {progress.study.reason}"
        yield Check("self-test results", Verdict.FAIL, f"no results: {rule}", "Check [eligibility].")
        return
    kinds = Counter(pydicom.dcmread(path, specific_tags=["Modality"]).Modality for path in files)
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    yield Check("self-test results", Verdict.OK, f"{counts}; {took}")
    yield _check_lesions(files, progress.study.study_instance_uid, settings)


def _check_lesions(files: Sequence[Path], study_instance_uid: str, settings: Settings) -> Check:
    """Compare the outlines with the lesions of the phantom.

    The default model must find every lesion. A model for patients need not, so a missed lesion is only a warning.
    """
    segmentations = stored_segmentations(files, study_instance_uid)
    found = lesions = outside = 0
    for view in make_exam(SEED, rows=ROWS_AND_COLUMNS[0], columns=ROWS_AND_COLUMNS[1]):
        masks = [segment.mask for segment in stored_segments(view.dataset.SOPInstanceUID, segmentations)]
        truth = view.benign_mask | view.malignant_mask
        lesions += bool(truth.any())
        found += any(bool((mask & truth).any()) for mask in masks)
        outside += sum(not (mask & truth).any() for mask in masks)
    fact = f"{found} of {lesions} lesions outlined where they are, {outside} outlines elsewhere"
    return _check_of_lesions(found < lesions, fact, settings.inference.package)


def _check_of_lesions(missed: bool, fact: str, package: Path | None) -> Check:
    if not missed:
        return Check("self-test truth", Verdict.OK, fact)
    if package is not None:
        remedy = "A model for patients need not find synthetic lesions: check it with known cases instead."
        return Check("self-test truth", Verdict.WARN, fact, remedy)
    remedy = (
        "Everywhere else the default model finds all. Please report this with the output of `glam-node doctor --json`."
    )
    return Check("self-test truth", Verdict.FAIL, fact, remedy)
