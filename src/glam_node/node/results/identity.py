"""The identity of the device that writes results, and the UIDs and Series Numbers that are derived from it."""

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Any, Literal, Self

from glam_node import __version__
from glam_node.inference.findings import AlgorithmIdentification, ImageFindings
from glam_node.inference.mammogram import Laterality, ViewPosition
from glam_node.node.domain.patient_change import CorrectedPatient
from glam_node.result_kinds import KINDS_BY_NAME

_UID_NAMESPACE = uuid.UUID("9d3a3a3c-7a54-5d0f-8f43-0d0f6b5f2a11")

VIEW_ORDER = tuple((laterality, view) for view in ViewPosition for laterality in (Laterality.RIGHT, Laterality.LEFT))
"""The four views as they hang side by side: R CC, L CC, R MLO, L MLO."""

UNTRAINED = "UNTRAINED"

ScoreScale = Literal["percent", "raw", "ten"]


@dataclass(frozen=True, slots=True)
class ResultIdentity:
    """The device that writes results, the presentation of the results, and their creation time."""

    manufacturer: str = "glam-node"
    station_name: str = "GLAMNODE"
    institution_name: str = ""
    device_serial_number: str = "1"
    series_number: int = 9500
    """Series Number of the measurement report; those of all other objects are offsets from it."""
    manufacturer_model_name: str = "glam-node"
    software_version: str = __version__
    secondary_capture: Literal["sheet", "views"] = "sheet"
    """sheet: one picture of all views; views: one picture for each view."""
    banner: str = "For research use, not for diagnosis"
    """Statement of the intended use in every object; at most 48 characters."""
    series_description: str = "GLAM-NODE {subject} research use"
    """Series Description of every object; {subject} stands for the content of the object."""
    score_scale: ScoreScale = "percent"
    """Scale on which the scores of images, breasts and studies are shown."""
    code_scheme: Literal["SCT", "SRT"] = "SCT"
    """SNOMED CT, or SNOMED RT for older workstations."""
    settings_digest: str = ""
    """SHA-256 of the settings that change results and of the version of the writers; part of every derived UID."""
    versions: tuple[tuple[str, str], ...] = ()
    """SOP Instance UID and digest of the bytes of each image; part of the UIDs derived from that image."""
    patient: CorrectedPatient | None = None
    """Patient whom results name in place of the one in the images; part of every derived UID."""
    created_at: datetime | None = None
    """Creation time of the objects; the only part of them that sources and findings do not determine."""

    def at(self, created_at: datetime, settings_digest: str = "") -> Self:
        """Return this identity with a creation time, ready to write results.

        Args:
            created_at: The creation time, with a time zone.
            settings_digest: The digest of the settings; empty to keep the current one.
        """
        return replace(self, created_at=created_at, settings_digest=settings_digest or self.settings_digest)

    def of_versions(self, versions: Iterable[tuple[str, str]]) -> Self:
        """Return this identity for images with these bytes, so that results of corrected images get UIDs of their own.

        Args:
            versions: SOP Instance UID of each image and the digest of its data set.
        """
        return replace(self, versions=tuple(versions))

    def presented(self, presentation: Mapping[str, object]) -> Self:
        """Return this identity with other values of some fields; its objects get UIDs of their own.

        Args:
            presentation: The new values by the name of the field.
        """
        if not presentation:
            return self
        changed: dict[str, Any] = dict(presentation)
        digest = f"{self.settings_digest} {json.dumps(changed, sort_keys=True)}"
        return replace(self, **changed, settings_digest=digest)

    def statement(self, algorithm: AlgorithmIdentification) -> str:
        """Return the statement of the intended use as a sentence, with a warning if the weights are untrained."""
        return f"{self.banner}." if algorithm.trained else f"{self.banner}. {UNTRAINED} weights: without any meaning."

    def short_statement(self, algorithm: AlgorithmIdentification) -> str:
        """Return the statement of the intended use in at most 64 characters (VR LO)."""
        return self.banner if algorithm.trained else f"{self.banner}, {UNTRAINED}"

    def described(self, subject: str, algorithm: AlgorithmIdentification) -> str:
        """Return the Series Description of an object with this content, in at most 64 characters (VR LO)."""
        text = self.series_description.replace("{subject}", subject)
        return text[:64] if algorithm.trained else f"{text[: 63 - len(UNTRAINED)]} {UNTRAINED}"

    def derived_uid(self, role: str, sop_instance_uids: Iterable[str], algorithm: AlgorithmIdentification) -> str:
        """Return a UID (PS3.5 B.2) derived from role, sources, algorithm (with weights and parameters) and settings."""
        versions = dict(self.versions)
        sources = sorted(f"{uid} {versions.get(uid, '')}" for uid in sop_instance_uids)
        made_of = [role, sources, _facts_of(algorithm), self.settings_digest]
        if self.patient is not None:
            made_of.append(asdict(self.patient))
        return f"2.25.{uuid.uuid5(_UID_NAMESPACE, json.dumps(made_of)).int}"

    @property
    def device_uid(self) -> str:
        """UID of this device, derived from its manufacturer, model and serial number."""
        device = [self.manufacturer, self.manufacturer_model_name, self.device_serial_number]
        return f"2.25.{uuid.uuid5(_UID_NAMESPACE, json.dumps(device)).int}"

    def series_number_of(self, kind: str, image: ImageFindings | None = None, place: int = 0, of: int = 1) -> int:
        """Return the Series Number of an object, which does not depend on the rest of the study.

        Args:
            kind: The kind of result.
            image: The view that the object is of; None if it is of the study.
            place: The number of the object among those of the kind and the view, from 0.
            of: The largest number of objects of the kind for a view.
        """
        view = 0 if image is None else VIEW_ORDER.index((image.image_laterality, image.view_position))
        return self.series_number + KINDS_BY_NAME[kind].series + view * of + place

    def created(self, zone: tzinfo | None) -> datetime:
        """Return the creation time in `zone`, or in the time zone of this process if `zone` is None.

        Raises:
            ValueError: The identity has no creation time.
        """
        if self.created_at is None:
            raise ValueError("A result needs the time of its creation: use identity.at(now, settings_digest).")
        return self.created_at.astimezone(zone)


@lru_cache(maxsize=8)
def _facts_of(algorithm: AlgorithmIdentification) -> dict[str, Any]:
    """Return the fields of the algorithm, which must not be changed; each object has several UIDs derived from them."""
    return asdict(algorithm)


def view_name(image: ImageFindings) -> str:
    """Return the name of a view, such as R CC."""
    return f"{image.image_laterality} {image.view_position}"
