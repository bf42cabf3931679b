"""Pictures of a study's views: grey, the segments that were stored for it, and both with a caption."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO

import pydicom
from PIL import Image
from pydicom.dataset import Dataset

from glam_node.inference.errors import InferenceError
from glam_node.inference.reading import read_dataset
from glam_node.node.bootstrap import Node
from glam_node.node.db import deliveries, jobs, studies
from glam_node.node.db.engine import reading
from glam_node.node.domain.delivery import Delivery
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.domain.job import InferenceJob
from glam_node.node.results.kinds import SEGMENTATION, SOP_CLASSES
from glam_node.node.results.layers import grey_layer, segment_layer
from glam_node.node.results.overlay import draw_overlay, stored_segments
from glam_node.node.storage.findings import latest_findings, newest_analysis
from glam_node.node.storage.instances import is_valid_uid

SHOWN_HEIGHT, LARGE_HEIGHT = 1100, 2400
"""Pixels."""

# A view takes half a second and 100 MB to draw: one at a time.
_drawing = threading.Lock()


@dataclass(frozen=True, slots=True)
class View:
    """One image of a study, and what became of it."""

    node: Node
    instance: SOPInstance
    jobs: Sequence[InferenceJob]
    deliveries: Sequence[Delivery]

    def source(self) -> Dataset:
        """As it was received."""
        return read_dataset(self.node.store.resolve(self.instance.path))

    def segmentations(self) -> list[Dataset]:
        """The binary segmentations that the newest analysis handed over, as they were written; each once."""
        newest = newest_analysis(self.jobs)
        paths = [
            one.path
            for one in self.deliveries
            if newest is not None and one.job_id == newest.job_id and one.sop_class_uid == SOP_CLASSES[SEGMENTATION]
        ]
        found = [pydicom.dcmread(self.node.store.resolve(path)) for path in dict.fromkeys(paths)]
        return [one for one in found if one.get("SegmentationType") == "BINARY"]


Draw = Callable[[View, int], Image.Image | None]


def grey(view: View, maximum_height: int) -> Image.Image | None:
    """The image alone."""
    return grey_layer(view.source(), maximum_height=maximum_height)


def segments(view: View, maximum_height: int) -> Image.Image | None:
    """What was found on it, transparent elsewhere."""
    found = stored_segments(view.instance.sop_instance_uid, view.segmentations())
    return segment_layer(found, view.source(), maximum_height=maximum_height)


def captioned(view: View, maximum_height: int) -> Image.Image | None:
    """Both, with scores and what they are not for; None for an image that was not analysed."""
    findings = latest_findings(view.node.store.root, view.jobs)
    images = {image.sop_instance_uid: image for image in findings.images} if findings else {}
    image = images.get(view.instance.sop_instance_uid)
    if findings is None or image is None:
        return None
    identity = view.node.inference.identity
    return draw_overlay(
        view.source(), view.segmentations(), image, findings.algorithm, identity, maximum_height=maximum_height
    )


def picture(node: Node, uids: tuple[str, str], draw: Draw, maximum_height: int) -> bytes | None:
    """A PNG of an image by its Study and SOP Instance UID; None where there is none, or it cannot be read any more."""
    view = _view(node, *uids) if all(map(is_valid_uid, uids)) else None
    if view is None:
        return None
    try:
        with _drawing:
            drawn = draw(view, maximum_height)
    except (InferenceError, OSError):
        return None
    if drawn is None:
        return None
    png = BytesIO()
    drawn.save(png, format="PNG", compress_level=1)
    return png.getvalue()


def _view(node: Node, study_instance_uid: str, sop_instance_uid: str) -> View | None:
    with reading(node.sessions)() as session:
        instance = studies.find_instance(session, sop_instance_uid)
        if instance is None or instance.study_instance_uid != study_instance_uid:
            return None
        its_deliveries = deliveries.of_study(session, study_instance_uid)
        return View(node, instance, jobs.of_study(session, study_instance_uid), its_deliveries)
