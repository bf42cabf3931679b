"""What a page about a study shows beside words: its views with the stored segmentations over them."""

import threading
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from glam_node.inference.errors import InferenceError
from glam_node.inference.reading import read_dataset
from glam_node.node.bootstrap import Node
from glam_node.node.db import jobs, studies
from glam_node.node.db.engine import reading
from glam_node.node.results.overlay import draw_overlay
from glam_node.node.storage.findings import latest_findings
from glam_node.node.storage.instances import is_valid_uid

# A view takes half a second and 100 MB to draw: one at a time.
_drawing = threading.Lock()


def picture(node: Node, study_instance_uid: str, sop_instance_uid: str, maximum_height: int) -> bytes | None:
    """A PNG of an analysed view with its stored segments; None where there is none, or it cannot be read any more."""
    if not (is_valid_uid(study_instance_uid) and is_valid_uid(sop_instance_uid)):
        return None
    with reading(node.sessions)() as session:
        study = studies.get(session, study_instance_uid)
        its_jobs = jobs.of_study(session, study_instance_uid)
    instances = {} if study is None else {one.sop_instance_uid: one for one in study.instances}
    if sop_instance_uid not in instances:
        return None
    try:
        findings = latest_findings(node.store.root, its_jobs)
        images = {image.sop_instance_uid: image for image in findings.images} if findings else {}
        if findings is None or sop_instance_uid not in images:
            return None
        source = read_dataset(node.store.resolve(instances[sop_instance_uid].path))
        segmentations = _segmentations(node.store.root / "results" / study_instance_uid)
        with _drawing:
            drawn = draw_overlay(
                source,
                segmentations,
                images[sop_instance_uid],
                findings.algorithm,
                node.inference.identity,
                maximum_height=maximum_height,
            )
    except (InferenceError, OSError):
        return None
    png = BytesIO()
    drawn.save(png, format="PNG")
    return png.getvalue()


def _segmentations(directory: Path) -> list[Dataset]:
    """The objects that lie there and are binary segmentations."""
    found: list[Dataset] = []
    for path in sorted(directory.glob("*.dcm")):
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["Modality", "SegmentationType"])
        if (header.get("Modality"), header.get("SegmentationType")) == ("SEG", "BINARY"):
            found.append(pydicom.dcmread(path))
    return found
