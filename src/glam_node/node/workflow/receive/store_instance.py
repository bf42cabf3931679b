"""Storage of a received instance: its header is checked, its file is made durable and its row is committed.

Only after that may the receiver answer C-STORE with 0x0000 (success).
"""

from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

import structlog
from pydicom.dataset import Dataset
from sqlalchemy.orm import Session

from glam_node.inference.header_facts import describe_view
from glam_node.kinds.facts import ImageFacts
from glam_node.node.db import audit, conflicts, studies
from glam_node.node.db.arrivals import Arrival, add_arrivals
from glam_node.node.db.writer import Writer
from glam_node.node.domain.conflict import Conflict, differences
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.domain.identity import ImageIdentity, identity_of
from glam_node.node.domain.instance import ImageAttributes, SOPInstance, StudyAttributes
from glam_node.node.errors import PermanentError
from glam_node.node.storage.header import UnreadableDataSet, read_header
from glam_node.node.storage.instances import IncomingFile, InstanceStore, is_valid_uid

log = structlog.get_logger(__name__)

# PS3.4 Table B.2-1
DATA_SET_DOES_NOT_MATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000

# No attribute that is kept may have more than 64 characters (LO); this limit is for senders that break the standard.
LONGEST_TEXT = 1024


class Refused(PermanentError):
    """Error for an instance that cannot be accepted; `status` is the DIMSE status and the message the reason."""


@dataclass(frozen=True, slots=True)
class Received:
    """An instance as received: the UIDs that the C-STORE command states, and the data set in a file."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    file: IncomingFile
    study_instance_uid: str = ""
    """The study that the node asked for; empty if it asked for none."""


def receive(
    received: Received, calling_ae_title: str, *, store: InstanceStore, writer: Writer, now: datetime
) -> SOPInstance:
    """Store the instance durably and return it as it is in the database.

    An instance that is known already is accepted, and the known one is returned. If the bytes differ, the new file is
    kept in addition to the known one until a person decides.

    Raises:
        Refused: The data set cannot be understood, or does not match the command.
        TransientError: The instance cannot be recorded in the database at present.
        OSError: The file could not be stored.
    """
    header = _checked_header(received)
    instance = _instance(received, header, calling_ae_title, now)
    with store.exclusively(instance.sop_instance_uid):
        if store.resolve(instance.path).exists():
            known = writer.submit(lambda session: studies.find_instance(session, instance.sop_instance_uid))
            if known is not None:
                return _record_duplicate(known, instance, header, received, store=store, writer=writer)
        store.admit(received.file, instance.path)
        kept = writer.submit_one_of(add_arrivals, Arrival(instance, _study_attributes(header)))
        if kept.received_at != instance.received_at or kept.blake3 != instance.blake3:
            return _record_duplicate(kept, instance, header, received, store=store, writer=writer)
    return kept


def _record_duplicate(
    known: SOPInstance,
    instance: SOPInstance,
    header: Dataset,
    received: Received,
    *,
    store: InstanceStore,
    writer: Writer,
) -> SOPInstance:
    """Record that a known instance was received again; also keep the new file if its bytes differ.

    A person decides later which version counts (`workflow/operate/versions.py`).
    """
    same = known.blake3 == instance.blake3 if known.blake3 else known.sha256 == received.file.sha256()
    path = "" if same else f"conflicts/{instance.sop_instance_uid}-{instance.blake3[:16]}.dcm"
    conflict = None if same else _conflict(known, replace(instance, path=path), header, store)
    detail: EventDetail = {
        "sop_class_uid": instance.sop_class_uid,
        "sop_instance_uid": instance.sop_instance_uid,
        "calling_ae_title": instance.calling_ae_title,
        "same_bytes": same,
        "kept_at": path,
    }
    if conflict:
        differs = list(conflict.differs)
        store.admit(received.file, path)
        log.warning("instance_conflict", sop_instance_uid=instance.sop_instance_uid, kept_at=path, differs=differs)
        detail["differs"] = differs

    def record(session: Session) -> None:
        if conflict:
            conflicts.add(session, conflict)
        at, uid = instance.received_at, known.study_instance_uid
        audit.record(session, EventKind.INSTANCE_DUPLICATE, at, study_instance_uid=uid, **detail)

    writer.submit(record)
    return known


def _conflict(known: SOPInstance, newer: SOPInstance, header: Dataset, store: InstanceStore) -> Conflict:
    """Compare the known and the newer version; both headers are read by this version of glam-node."""
    uid = known.study_instance_uid
    path = store.resolve(known.path)
    try:
        kept = _as_stated(
            known, read_header(path, path.stat().st_size - known.byte_count, known.transfer_syntax_uid), uid
        )
    except (OSError, ValueError, UnreadableDataSet):
        kept = known
    differs = differences(kept, _as_stated(newer, header, uid))
    return Conflict(newer, _study_attributes(header), uid, differs)


def _as_stated(instance: SOPInstance, header: Dataset, study_instance_uid: str) -> SOPInstance:
    """Return the instance with the attributes and the identity that the header states.

    Only identities with the same `study_instance_uid` can be compared.
    """
    view = describe_view(header)
    identity = image_identity(header, view, study_instance_uid)
    return replace(instance, attributes=image_attributes(view), identity=identity)


def _checked_header(received: Received) -> Dataset:
    try:
        header = read_header(received.file.path, received.file.head_length, received.transfer_syntax_uid)
    except UnreadableDataSet as error:
        raise Refused(str(error), status=CANNOT_UNDERSTAND) from error
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID"):
        if not is_valid_uid(text_of(header, keyword)):
            raise Refused(f"{keyword} is missing or is not a UID", status=CANNOT_UNDERSTAND)
    if received.study_instance_uid not in ("", text_of(header, "StudyInstanceUID")):
        raise Refused("the instance is not of the study that was asked for", status=DATA_SET_DOES_NOT_MATCH)
    stated = (text_of(header, "SOPClassUID"), text_of(header, "SOPInstanceUID"))
    if stated != (received.sop_class_uid, received.sop_instance_uid):
        raise Refused("SOP Class or Instance UID differs from the command's", status=DATA_SET_DOES_NOT_MATCH)
    return header


def _instance(received: Received, header: Dataset, calling_ae_title: str, now: datetime) -> SOPInstance:
    view = describe_view(header)
    study_instance_uid = text_of(header, "StudyInstanceUID")
    return SOPInstance(
        sop_class_uid=received.sop_class_uid,
        sop_instance_uid=received.sop_instance_uid,
        series_instance_uid=text_of(header, "SeriesInstanceUID"),
        study_instance_uid=study_instance_uid,
        transfer_syntax_uid=received.transfer_syntax_uid,
        path=f"instances/{study_instance_uid}/{received.sop_instance_uid}.dcm",
        blake3=received.file.blake3,
        sha256="",
        byte_count=received.file.byte_count,
        calling_ae_title=calling_ae_title,
        received_at=now,
        attributes=image_attributes(view),
        identity=image_identity(header, view, study_instance_uid),
    )


def image_identity(header: Dataset, view: ImageFacts, study_instance_uid: str) -> ImageIdentity | None:
    """Return the identity of patient and study that a mammogram states; None for any other object."""
    return identity_of(header, study_instance_uid) if view.modality == "MG" else None


def image_attributes(view: ImageFacts) -> ImageAttributes:
    """Return the attributes of an image that are stored, in a form that any database accepts."""
    return ImageAttributes(**{field.name: _storable(getattr(view, field.name)) for field in fields(ImageFacts)})


def _storable(value: Any) -> Any:
    """Return text without NUL and lone surrogates, which PostgreSQL refuses, and at most LONGEST_TEXT characters."""
    if isinstance(value, tuple):
        return tuple(_storable(one) for one in value[:LONGEST_TEXT])
    if isinstance(value, str):
        return value.replace("\0", "").strip()[:LONGEST_TEXT].encode("utf-8", "replace").decode("utf-8")
    return value


def _study_attributes(header: Dataset) -> StudyAttributes:
    return StudyAttributes(
        patient_id=text_of(header, "PatientID"),
        issuer_of_patient_id=text_of(header, "IssuerOfPatientID"),
        accession_number=text_of(header, "AccessionNumber"),
        study_date=text_of(header, "StudyDate"),
        study_description=text_of(header, "StudyDescription"),
    )


def text_of(header: Dataset, keyword: str) -> str:
    """Return the value of an element as text that any database accepts; empty when it is missing or not readable."""
    try:
        value = header.get(keyword)
    except Exception:  # pydicom converts a value when it is read, and its converters raise many types
        return ""
    return "" if value is None else str(_storable(str(value)))
