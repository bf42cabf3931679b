"""Builders of test values: arguments set what matters to a test, the rest is an ordinary screening exam."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from glam_node.node.domain.delivery import Delivery, DeliveryState
from glam_node.node.domain.instance import ImageAttributes, SOPInstance, StudyAttributes
from glam_node.node.domain.study import Study, StudyState

NOW = datetime(2026, 1, 2, 10, 15, tzinfo=UTC)
MG_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.2"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
COMPREHENSIVE_3D_SR = "1.2.840.10008.5.1.4.1.1.88.34"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
STUDY_UID = "2.25.100"

_numbers = count(1)


def after(seconds: float) -> datetime:
    """Return the time this many seconds after NOW."""
    return NOW + timedelta(seconds=seconds)


def image_attributes(**stated: Any) -> ImageAttributes:
    """Return the attributes of a right CC view for presentation, with these values changed."""
    ordinary: dict[str, Any] = {
        "modality": "MG",
        "presentation_intent_type": "FOR PRESENTATION",
        "image_laterality": "R",
        "view_position": "CC",
        "image_type": ("ORIGINAL", "PRIMARY"),
        "rows": 3328,
        "columns": 2560,
    }
    return ImageAttributes(**{**ordinary, **stated})


def sop_instance(view: str = "R CC", *, sop_instance_uid: str = "", **fields: Any) -> SOPInstance:
    """Return one received image; `fields` may be fields of ImageAttributes or of SOPInstance."""
    laterality, _, view_position = view.partition(" ")
    uid = sop_instance_uid or f"2.25.{1000 + next(_numbers)}"
    of_image = {name: fields.pop(name) for name in ImageAttributes.__dataclass_fields__ if name in fields}
    stated: dict[str, Any] = {
        "sop_class_uid": MG_FOR_PRESENTATION,
        "sop_instance_uid": uid,
        "series_instance_uid": f"{uid}.1",
        "study_instance_uid": STUDY_UID,
        "transfer_syntax_uid": EXPLICIT_VR_LITTLE_ENDIAN,
        "path": f"instances/{STUDY_UID}/{uid}.dcm",
        "blake3": "0" * 64,
        "sha256": "",
        "byte_count": 17_000_000,
        "calling_ae_title": "MODALITY",
        "received_at": NOW,
        "attributes": image_attributes(**{"image_laterality": laterality, "view_position": view_position, **of_image}),
    }
    return SOPInstance(**{**stated, **fields})


def four_views(**fields: Any) -> list[SOPInstance]:
    """Return the views R CC, L CC, R MLO and L MLO."""
    return [sop_instance(view, **fields) for view in ("R CC", "L CC", "R MLO", "L MLO")]


def report(**fields: Any) -> SOPInstance:
    """Return a structured report that a peer sent to the node."""
    return sop_instance("", modality="SR", sop_class_uid=COMPREHENSIVE_3D_SR, presentation_intent_type="", **fields)


def study(*instances: SOPInstance, **fields: Any) -> Study:
    """Return a study in the state RECEIVING with these instances."""
    stated: dict[str, Any] = {
        "study_instance_uid": STUDY_UID,
        "attributes": StudyAttributes(patient_id="P1"),
        "state": StudyState.RECEIVING,
        "rule": "",
        "reason": "",
        "first_received_at": NOW,
        "receiving_since": NOW,
        "last_received_at": NOW,
        "instances": instances,
    }
    return Study(**{**stated, **fields})


def delivery(**fields: Any) -> Delivery:
    """Return the delivery of a segmentation that waits to be sent to `archive`."""
    number = next(_numbers)
    stated: dict[str, Any] = {
        "delivery_id": f"delivery-{number}",
        "job_id": "job",
        "study_instance_uid": STUDY_UID,
        "destination": "archive",
        "sop_class_uid": SEGMENTATION,
        "sop_instance_uid": f"2.25.{9000 + number}",
        "transfer_syntax_uid": EXPLICIT_VR_LITTLE_ENDIAN,
        "path": f"results/{STUDY_UID}/2.25.{9000 + number}.dcm",
        "state": DeliveryState.PENDING,
        "attempt": 0,
        "next_attempt_at": NOW,
        "transaction_uid": "",
        "failure": "",
        "created_at": NOW,
        "stored_at": None,
    }
    return Delivery(**{**stated, **fields})
