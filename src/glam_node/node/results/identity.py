"""Who writes the results, and names for them that follow from what they were made of."""

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, tzinfo
from typing import Any, Literal, Self

from glam_node import __version__
from glam_node.inference.findings import CHANNELS, AlgorithmIdentification, FindingKind, ImageFindings
from glam_node.inference.mammogram import Laterality, ViewPosition

# Goes up when the writers change what they write, so that re-issued objects get names of their own.
_WRITER_VERSION = 3
_UID_NAMESPACE = uuid.UUID("9d3a3a3c-7a54-5d0f-8f43-0d0f6b5f2a11")

_VIEW_ORDER = [(laterality, view) for view in ViewPosition for laterality in (Laterality.RIGHT, Laterality.LEFT)]
_SERIES_PER_VIEW = 100
_PRESENTATION_STATES = 500
_SECONDARY_CAPTURES = 510
_KEY_OBJECT_SELECTION = 520
_MAMMOGRAPHY_CAD_SR = 530
_NOT_ANALYSED_REPORT = 540
_COMPREHENSIVE_SR = 550
_PARAMETRIC_MAPS = 560
_SERIES_PER_TYPE = 1000

UNTRAINED = "UNTRAINED"

ScoreScale = Literal["percent", "raw", "ten"]


@dataclass(frozen=True, slots=True)
class ResultIdentity:
    """How results present themselves, when they are made, and with which settings."""

    manufacturer: str = "glam-node"
    station_name: str = "GLAMNODE"
    institution_name: str = ""
    device_serial_number: str = "1"
    series_number: int = 9500
    """Series Number of the report; those of the segmentations follow from it, the view and the object's place."""
    manufacturer_model_name: str = "glam-node"
    software_version: str = __version__
    secondary_capture: Literal["sheet", "views"] = "sheet"
    """All views on one picture, or a picture per view."""
    banner: str = "For research use, not for diagnosis"
    """What every object says of itself; at most 48 characters."""
    series_description: str = "GLAM-NODE {subject} research use"
    """Series Description of every object; {subject} is what it holds."""
    score_scale: ScoreScale = "percent"
    """How scores of images, breasts and studies are given."""
    code_scheme: Literal["SCT", "SRT"] = "SCT"
    """SNOMED CT, or SNOMED RT for old workstations."""
    settings_digest: str = ""
    """SHA-256 of the settings that change results; part of every derived UID."""
    created_at: datetime | None = None
    """When the objects are made; the one thing in them that sources and findings do not determine."""

    def at(self, created_at: datetime, settings_digest: str = "") -> Self:
        """The same identity, ready to write results."""
        return replace(self, created_at=created_at, settings_digest=settings_digest or self.settings_digest)

    def of_versions(self, versions: Iterable[str]) -> Self:
        """The same for images that were replaced by newer versions: their results have UIDs of their own."""
        replaced = sorted(version for version in versions if version)
        return replace(self, settings_digest=f"{self.settings_digest} {' '.join(replaced)}") if replaced else self

    def presented(self, presentation: Mapping[str, object]) -> Self:
        """The same with other values of some fields, which objects with UIDs of their own are made with."""
        if not presentation:
            return self
        changed: dict[str, Any] = dict(presentation)
        digest = f"{self.settings_digest} {json.dumps(changed, sort_keys=True)}"
        return replace(self, **changed, settings_digest=digest)

    def statement(self, algorithm: AlgorithmIdentification) -> str:
        """One sentence, in every object: what it is not for; and that untrained weights know nothing."""
        return f"{self.banner}." if algorithm.trained else f"{self.banner}. {UNTRAINED} weights: without any meaning."

    def short_statement(self, algorithm: AlgorithmIdentification) -> str:
        """The same in at most 64 characters (LO)."""
        return self.banner if algorithm.trained else f"{self.banner}, {UNTRAINED}"

    def described(self, subject: str, algorithm: AlgorithmIdentification) -> str:
        """Series Description: whose it is and that it is for research; at most 64 characters (LO)."""
        text = self.series_description.replace("{subject}", subject)
        return text[:64] if algorithm.trained else f"{text[: 63 - len(UNTRAINED)]} {UNTRAINED}"

    def derived_uid(self, role: str, sop_instance_uids: Iterable[str], algorithm: AlgorithmIdentification) -> str:
        """A UID (PS3.5 B.2) that follows from sources, algorithm with weights and parameters, settings and role."""
        made_of = [_WRITER_VERSION, role, sorted(sop_instance_uids), asdict(algorithm), self.settings_digest]
        return f"2.25.{uuid.uuid5(_UID_NAMESPACE, json.dumps(made_of)).int}"

    @property
    def device_uid(self) -> str:
        """Names this device: manufacturer, model and serial number."""
        device = [self.manufacturer, self.manufacturer_model_name, self.device_serial_number]
        return f"2.25.{uuid.uuid5(_UID_NAMESPACE, json.dumps(device)).int}"

    def segmentation_series_number(self, image: ImageFindings, place: int, type_number: int = 0) -> int:
        """Series Number of the `place`-th (0, 1, ...) segmentation of a view, whatever else the study holds."""
        return self.series_number + 1 + type_number * _SERIES_PER_TYPE + _view_number(image) * _SERIES_PER_VIEW + place

    def parametric_map_series_number(self, image: ImageFindings, kind: FindingKind) -> int:
        """Series Number of the saliency of a class in a view."""
        return self.series_number + _PARAMETRIC_MAPS + _view_number(image) * len(CHANNELS) + CHANNELS.index(kind)

    def presentation_state_series_number(self, image: ImageFindings) -> int:
        """Series Number of the presentation state of a view."""
        return self.series_number + _PRESENTATION_STATES + _view_number(image)

    def secondary_capture_series_number(self, image: ImageFindings | None = None) -> int:
        """Series Number of the picture of a view; without one, of the sheet of all views."""
        view = len(_VIEW_ORDER) if image is None else _view_number(image)
        return self.series_number + _SECONDARY_CAPTURES + view

    @property
    def key_object_selection_series_number(self) -> int:
        """Series Number of the selection of key objects."""
        return self.series_number + _KEY_OBJECT_SELECTION

    @property
    def mammography_cad_sr_series_number(self) -> int:
        """Series Number of the Mammography CAD SR."""
        return self.series_number + _MAMMOGRAPHY_CAD_SR

    @property
    def not_analysed_report_series_number(self) -> int:
        """Series Number of the report that a study was not analysed."""
        return self.series_number + _NOT_ANALYSED_REPORT

    @property
    def comprehensive_sr_series_number(self) -> int:
        """Series Number of the report as a Comprehensive SR."""
        return self.series_number + _COMPREHENSIVE_SR

    def created(self, zone: tzinfo | None) -> datetime:
        """Return the time of creation in `zone`, without one in the zone of this process."""
        if self.created_at is None:
            raise ValueError("A result needs the time of its creation: use identity.at(now, settings_digest).")
        return self.created_at.astimezone(zone)


def view_name(image: ImageFindings) -> str:
    """R CC, L MLO ..."""
    return f"{image.image_laterality} {image.view_position}"


def _view_number(image: ImageFindings) -> int:
    """From 0, in the order of series."""
    return _VIEW_ORDER.index((image.image_laterality, image.view_position))
