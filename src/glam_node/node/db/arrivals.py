"""Bulk insertion of received instances, which needs only a few statements for many small instances."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, select, update
from sqlalchemy.orm import Session

from glam_node.node.db import audit, studies
from glam_node.node.db.changes import insert_missing
from glam_node.node.db.instances import with_patient
from glam_node.node.db.tables import Base, InstanceRow, StudyRow
from glam_node.node.domain.event import EventKind
from glam_node.node.domain.instance import ImageAttributes, SOPInstance, StudyAttributes
from glam_node.node.domain.study import StudyState

_FIELDS, _ATTRIBUTES = (tuple(one.name for one in fields(of)) for of in (SOPInstance, ImageAttributes))
_STUDIES, _INSTANCES = (Base.metadata.tables[row.__tablename__] for row in (StudyRow, InstanceRow))
_UIDS: BindParameter[list[str]] = bindparam("uids", expanding=True)
_KNOWN = select(_INSTANCES.c.sop_instance_uid).where(_INSTANCES.c.sop_instance_uid.in_(_UIDS))
_LOCKED = (
    select(
        _STUDIES.c.study_instance_uid,
        _STUDIES.c.state,
        _STUDIES.c.issuer_of_patient_id,
        _STUDIES.c.patient_id,
        _STUDIES.c.last_received_at,
    )
    .where(_STUDIES.c.study_instance_uid.in_(_UIDS))
    .order_by(_STUDIES.c.study_instance_uid)
    .with_for_update(key_share=True)
)
_RECEIVED = (
    update(_STUDIES)
    .where(_STUDIES.c.study_instance_uid == bindparam("uid"))
    .values(
        issuer_of_patient_id=bindparam("issuer"),
        patient_id=bindparam("patient"),
        last_received_at=bindparam("received"),
    )
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """Received instance whose file is durable, with the study-level attributes that it states."""

    instance: SOPInstance
    study: StudyAttributes


def add_arrivals(session: Session, arrivals: Sequence[Arrival]) -> list[SOPInstance]:
    """Add the instances, and record an `instance_stored` event for each.

    The result is the same as calling `studies.add_instance` for each instance.

    Returns:
        The recorded instance for each arrival, in the same order: the instance of the arrival, or the instance that was
        recorded earlier with the same SOP Instance UID.
    """
    connection = session.connection()
    uids = [arrival.instance.sop_instance_uid for arrival in arrivals]
    known = set(connection.scalars(_KNOWN, {"uids": uids}))
    receiving = _receiving(session, connection, [one for one in arrivals if one.instance.sop_instance_uid not in known])
    result: dict[int, SOPInstance] = {}
    rows: list[SOPInstance] = []
    for number, arrival in enumerate(arrivals):
        study = receiving.get(arrival.instance.study_instance_uid)
        if study is None or arrival.instance.sop_instance_uid in known:
            continue
        known.add(arrival.instance.sop_instance_uid)
        rows.append(study.taken(arrival))
        result[number] = rows[-1]
    _insert(session, connection, rows, receiving)
    return [result.get(number) or _add_alone(session, arrival) for number, arrival in enumerate(arrivals)]


@dataclass(slots=True)
class _Receiving:
    """Study in the state RECEIVING whose row is locked."""

    patient: tuple[str, str]
    """Issuer of Patient ID, and Patient ID."""
    last_received_at: datetime
    is_changed: bool = False

    def taken(self, arrival: Arrival) -> SOPInstance:
        """Add an instance to the study and return it; the first stated Patient ID becomes that of the study."""
        self.patient, instance = with_patient(self.patient, arrival.study, arrival.instance)
        self.last_received_at = max(self.last_received_at, instance.received_at)
        self.is_changed = True
        return instance


def _receiving(session: Session, connection: Connection, arrivals: Sequence[Arrival]) -> dict[str, _Receiving]:
    """Return the arrivals' studies in the state RECEIVING by UID, and lock their rows; add unknown studies.

    Studies in another state are left out, because an arrival may reopen them.
    """
    first = {arrival.instance.study_instance_uid: arrival for arrival in reversed(arrivals)}
    rows = list(connection.execute(_LOCKED, {"uids": list(first)})) if first else []
    missing = first.keys() - {row.study_instance_uid for row in rows}
    if missing:
        new = [studies.new_study(first[uid].instance, first[uid].study) for uid in sorted(missing)]
        insert_missing(session, StudyRow, new)
        rows += connection.execute(_LOCKED, {"uids": sorted(missing)})
    return {
        row.study_instance_uid: _Receiving((row.issuer_of_patient_id, row.patient_id), row.last_received_at)
        for row in rows
        if row.state == StudyState.RECEIVING
    }


def _insert(
    session: Session, connection: Connection, rows: Sequence[SOPInstance], receiving: dict[str, _Receiving]
) -> None:
    if not rows:
        return
    insert_missing(session, InstanceRow, [_as_row(row) for row in rows])
    audit.record_all(session, [_event(row) for row in rows])
    connection.execute(
        _RECEIVED,
        [
            {
                "uid": uid,
                "issuer": study.patient[0],
                "patient": study.patient[1],
                "received": study.last_received_at,
            }
            for uid, study in receiving.items()
            if study.is_changed
        ],
    )


def _as_row(instance: SOPInstance) -> dict[str, Any]:
    """Return the columns of the instance.

    This needs a fifth of the time of `dataclasses.asdict`, which makes a deep copy of every value.
    """
    row = {name: getattr(instance, name) for name in _FIELDS}
    row["identity"] = None if instance.identity is None else instance.identity.as_json()
    row["attributes"] = {name: getattr(instance.attributes, name) for name in _ATTRIBUTES}
    return row


def _add_alone(session: Session, arrival: Arrival) -> SOPInstance:
    known = studies.find_instance(session, arrival.instance.sop_instance_uid)
    if known is not None:
        return known
    instance = studies.add_instance(session, arrival.instance, arrival.study)
    audit.record_all(session, [_event(instance)])
    return instance


def _event(instance: SOPInstance) -> dict[str, Any]:
    return audit.row(
        EventKind.INSTANCE_STORED,
        instance.received_at,
        study_instance_uid=instance.study_instance_uid,
        sop_class_uid=instance.sop_class_uid,
        sop_instance_uid=instance.sop_instance_uid,
        calling_ae_title=instance.calling_ae_title,
        byte_count=instance.byte_count,
        patient_mismatch=instance.attributes.patient_mismatch,
    )
