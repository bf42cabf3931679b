"""Pictures of a study's views in layers: the image in grey, the stored segments, and both with a caption."""

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO

import pydicom
from PIL import Image
from pydicom.dataset import Dataset

from glam_node import __version__
from glam_node.inference.errors import InferenceError
from glam_node.inference.findings import Findings, ImageFindings
from glam_node.inference.reading import read_dataset
from glam_node.node.bootstrap import Node
from glam_node.node.db import deliveries, jobs, studies
from glam_node.node.db.engine import reading
from glam_node.node.domain.delivery import Delivery
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.domain.job import InferenceJob
from glam_node.node.storage.findings import latest_findings, newest_analysis
from glam_node.node.storage.instances import is_valid_uid
from glam_node.node.storage.pictures import DrawnPictures
from glam_node.result_kinds import SEGMENTATION, SOP_CLASSES

SHOWN_HEIGHT, LARGE_HEIGHT = 1100, 2400
"""The largest heights in pixels: of a picture on the page, and of a picture in full size."""

# Each layer imports `overlay` when it is first drawn: it loads highdicom, which takes as long as half of the console.
# One picture is drawn at a time, since it takes half a second and 100 MB.
_drawing = threading.Lock()


@dataclass(frozen=True, slots=True)
class View:
    """One image of a study, with the jobs and deliveries of the study."""

    node: Node
    instance: SOPInstance
    jobs: Sequence[InferenceJob]
    deliveries: Sequence[Delivery]

    def source(self) -> Dataset:
        """Return the image as it was received."""
        return read_dataset(self.node.store.resolve(self.instance.path))

    def segmentations(self) -> list[Dataset]:
        """Return the binary segmentations that the newest analysis handed to delivery, each once."""
        newest = newest_analysis(self.jobs)
        paths = [
            one.path
            for one in self.deliveries
            if newest is not None and one.job_id == newest.job_id and one.sop_class_uid == SOP_CLASSES[SEGMENTATION]
        ]
        found = [pydicom.dcmread(self.node.store.resolve(path)) for path in dict.fromkeys(paths)]
        return [one for one in found if one.get("SegmentationType") == "BINARY"]

    def analysis(self) -> tuple[Findings | None, ImageFindings | None]:
        """Return the findings of the newest analysis, and those of the image if it was analysed."""
        findings = latest_findings(self.node.store.root, self.jobs)
        images = {image.sop_instance_uid: image for image in findings.images} if findings else {}
        return findings, images.get(self.instance.sop_instance_uid)


Draw = Callable[[View, int], Image.Image | None]


def grey(view: View, maximum_height: int) -> Image.Image | None:
    """Draw the image alone."""
    from glam_node.node.results.overlay import grey_layer

    return grey_layer(view.source(), maximum_height=maximum_height)


def segments(view: View, maximum_height: int) -> Image.Image | None:
    """Draw the stored segments of the image on a transparent background."""
    from glam_node.node.results.overlay import segment_layer, stored_segments

    found = stored_segments(view.instance.sop_instance_uid, view.segmentations())
    return segment_layer(found, view.source(), maximum_height=maximum_height)


def captioned(view: View, maximum_height: int) -> Image.Image | None:
    """Draw image and segments with scores and the research-use notice; None if the image was not analysed."""
    findings, image = view.analysis()
    if findings is None or image is None:
        return None
    from glam_node.node.results.overlay import draw_overlay

    identity = view.node.inference.identity
    return draw_overlay(
        view.source(), view.segmentations(), image, findings.algorithm, identity, maximum_height=maximum_height
    )


def outlined(view: View, maximum_height: int) -> Image.Image | None:
    """Draw the image with its findings outlined, as on the PDF; None if the image was not analysed."""
    findings, image = view.analysis()
    if findings is None or image is None or image.failure is not None:
        return None
    from glam_node.node.results.view_picture import hung_view, reduced_view

    source = view.source()
    picture = reduced_view(source, maximum_height)
    return hung_view(picture, image, source, findings.algorithm, view.node.inference.identity)


@dataclass(frozen=True, slots=True)
class Layer:
    """One kind of picture of a view."""

    draw: Draw
    analysed: bool
    """Whether the picture depends on the analysis."""


LAYERS = {
    "grey": Layer(grey, analysed=False),
    "segments": Layer(segments, analysed=True),
    "captioned": Layer(captioned, analysed=True),
    "outlined": Layer(outlined, analysed=True),
}
"""The layers by the name of the picture's file."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a view, which may not have been drawn yet."""

    view: View
    layer: str
    maximum_height: int

    @property
    def etag(self) -> str:
        """The entity tag, which differs if image, analysis, settings of results or version of glam-node differ."""
        image = self.view.instance
        facts = [__version__, image.sop_instance_uid, image.blake3, image.sha256, self.layer, str(self.maximum_height)]
        if LAYERS[self.layer].analysed:
            facts.append(edition(self.view.node, self.view.jobs, self.view.deliveries))
        return _digest(facts)

    def png(self) -> bytes | None:
        """Return the picture from the store, or draw and store it; None if it cannot be drawn."""
        uid, name = self.view.instance.study_instance_uid, f"{self.etag}.png"
        kept = DrawnPictures(self.view.node.store.root)
        with _drawing:
            png = kept.find(uid, name)
            if png is None and (png := self._drawn()) is not None:
                self._keep(kept, name, png)
        return png

    def _drawn(self) -> bytes | None:
        try:
            drawn = LAYERS[self.layer].draw(self.view, self.maximum_height)
        except (InferenceError, OSError):
            return None
        if drawn is None:
            return None
        png = BytesIO()
        drawn.save(png, format="PNG", compress_level=1)
        return png.getvalue()

    def _keep(self, kept: DrawnPictures, name: str, png: bytes) -> None:
        node, image = self.view.node, self.view.instance
        if node.store.is_there() and node.store.has_room(node.settings.storage.minimum_free_bytes):
            kept.keep(image.study_instance_uid, name, png)
        # If the study was retired during the drawing, its other pictures are already removed: remove this one, too.
        if _view(node, image.study_instance_uid, image.sop_instance_uid) is None:
            kept.remove_study(image.study_instance_uid)


def edition(node: Node, its_jobs: Sequence[InferenceJob], its_deliveries: Sequence[Delivery]) -> str:
    """Return a digest for the pictures of a study, which differs if analysis or settings of results differ."""
    newest = newest_analysis(its_jobs)
    paths = sorted({one.path for one in its_deliveries if newest is not None and one.job_id == newest.job_id})
    return _digest([__version__, newest.job_id if newest else "", repr(node.inference.identity), *paths])


def find_picture(node: Node, uids: tuple[str, str], layer: str, maximum_height: int) -> Picture | None:
    """Return the picture of an image; None if the image is not known or there is no such layer.

    Args:
        node: The node that stores the image.
        uids: Study Instance UID and SOP Instance UID.
        layer: The name of one of `LAYERS`.
        maximum_height: The largest height of the picture in pixels.
    """
    view = _view(node, *uids) if layer in LAYERS and all(map(is_valid_uid, uids)) else None
    return None if view is None else Picture(view, layer, maximum_height)


def _digest(facts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]


def _view(node: Node, study_instance_uid: str, sop_instance_uid: str) -> View | None:
    with reading(node.sessions)() as session:
        instance = studies.find_instance(session, sop_instance_uid)
        if instance is None or instance.study_instance_uid != study_instance_uid:
            return None
        its_deliveries = deliveries.of_study(session, study_instance_uid)
        return View(node, instance, jobs.of_study(session, study_instance_uid), its_deliveries)
