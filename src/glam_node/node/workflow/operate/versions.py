"""Operators' requests to take the newer versions of a study's images, or to keep the first ones."""

from collections.abc import Sequence

import structlog
from sqlalchemy.orm import Session

from glam_node.node.db import conflicts, deliveries, jobs, studies
from glam_node.node.db.changes import insert_missing
from glam_node.node.db.engine import SessionFactory
from glam_node.node.db.tables import StudyRow
from glam_node.node.domain.account import Order
from glam_node.node.domain.conflict import Conflict
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.domain.study import Standing, Study, StudyState
from glam_node.node.domain.words import counted
from glam_node.node.errors import PermanentError, TransientError
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.operate.operator_study import checked_reason, locked_study, record_order, require_free
from glam_node.node.workflow.record.events import record_event

log = structlog.get_logger(__name__)

NOT_SENT = "made of images that were replaced by newer versions"
NEEDS_REASON = "Enter a reason. It is kept in the study's record, so do not name the patient."


def take_newer(sessions: SessionFactory, order: Order, store: InstanceStore) -> str:
    """Replace every image that was sent again by its newest version, and judge the study again.

    The files are linked to new names first, while nothing is locked, since a share may be slow. Then one transaction
    changes all rows: after a crash the study is in its old or its new state. The replaced files are kept until the
    study is retired; results made of them are no longer sent.

    Returns:
        A description of what was done, for people.

    Raises:
        PermanentError: The study is not known, is set aside or retired, or has changed since the person saw it; it has
            no newer version, or the file of one is missing; or the order has no reason; or the storage root cannot be
            reached.
    """
    with sessions.begin() as session:
        _, newest = _checked_decision(session, order)
    _link(newest, store)
    try:
        with sessions.begin() as session:
            return _take(session, order, newest, store)
    except PermanentError:
        with sessions.begin() as session:
            _remove_links(session, order, newest, store)
        raise


def _link(newest: Sequence[Conflict], store: InstanceStore) -> None:
    """Link the files of the newer versions to the names that they get in their studies."""
    try:
        store.require()
    except TransientError as error:
        raise PermanentError(f"{error} Nothing was done.") from error
    missing = [one for one in newest if not store.resolve(one.newer.path).exists()]
    if missing:
        raise PermanentError(
            f"{counted(len(missing), 'file')} of newer versions in {store.resolve('conflicts')} cannot be found. "
            "Send the study again, then repeat this action."
        )
    for conflict in newest:
        store.link(conflict.newer.path, _path(conflict))


def _remove_links(session: Session, order: Order, linked: Sequence[Conflict], store: InstanceStore) -> None:
    """Remove the links of a refused action, except those that another action on the study has taken meanwhile."""
    _lock(session, order, linked)
    for conflict in linked:
        path, kept = _path(conflict), studies.find_instance(session, conflict.newer.sop_instance_uid)
        if kept is None or kept.path != path:
            store.unlink(path)


def _lock(session: Session, order: Order, linked: Sequence[Conflict]) -> list[str]:
    """Lock the studies that the action changes, and return their UIDs."""
    changed = sorted({order.study_instance_uid, *(one.newer.study_instance_uid for one in linked)})
    for study_instance_uid in changed:
        studies.get(session, study_instance_uid, for_update=True)
    return changed


def _take(session: Session, order: Order, linked: Sequence[Conflict], store: InstanceStore) -> str:
    uid = order.study_instance_uid
    changed = _lock(session, order, linked)
    _, newest = _checked_decision(session, order)
    # Another action that was refused may have removed the links before this one locked the study.
    if newest != linked or not all(store.resolve(_path(one)).exists() for one in linked):
        raise PermanentError(f"Images of study {uid} were received or decided about meanwhile. Repeat this action.")
    for job in jobs.supersede(session, uid, order.at):
        record_event(log, session, EventKind.JOB_SUPERSEDED, order.at, study_instance_uid=uid, job_id=job.job_id)
    withheld = deliveries.stop_unsent(session, uid, DeliveryState.WITHHELD, NOT_SENT)
    insert_missing(session, StudyRow, [studies.new_study(one.newer, one.study) for one in newest])
    for conflict in newest:
        conflicts.take(session, conflict, _path(conflict))
    _settle(session, newest, order)
    for study_instance_uid in changed:
        studies.reopen(session, study_instance_uid, order.at)
    facts = EventDetail(images=len(newest), differs=_differs(newest), withheld=withheld)
    record_order(log, session, EventKind.NEWER_TAKEN, order, **facts)
    return (
        f"{counted(len(newest), 'image')} replaced by the newer version; the study is checked and analysed again. "
        "Remove the results of the earlier images at the archive: `glam-node study show UID` lists their UIDs"
    )


def keep_first(session: Session, order: Order) -> str:
    """Keep the first versions of the images; the newer ones need no further decision.

    Returns:
        A description of what was done, for people.

    Raises:
        PermanentError: One of the conditions that `take_newer` lists applies, apart from a missing file.
    """
    _, newest = _checked_decision(session, order)
    _settle(session, newest, order)
    record_order(log, session, EventKind.NEWER_LEFT, order, images=len(newest), differs=_differs(newest))
    return f"the first version of {counted(len(newest), 'image')} is kept, and the newer one is ignored"


def _checked_decision(session: Session, order: Order) -> tuple[Study, list[Conflict]]:
    """Return the study, locked, and for each image the newest version that waits for a decision."""
    study = locked_study(session, order)
    if study.standing is Standing.SET_ASIDE or study.state is StudyState.RETIRED:
        require_free(study)
        raise PermanentError(f"Study {study.study_instance_uid} is retired: its images were removed here.")
    newest = {one.newer.sop_instance_uid: one for one in conflicts.open_of_study(session, study.study_instance_uid)}
    if not newest:
        raise PermanentError(
            f"Study {study.study_instance_uid} has no newer version of an image that waits for a decision. Nothing was "
            "done. `glam-node status` lists the studies that have one."
        )
    if not checked_reason(order):
        raise PermanentError(NEEDS_REASON)
    return study, list(newest.values())


def _settle(session: Session, newest: Sequence[Conflict], order: Order) -> None:
    conflicts.settle(session, [one.newer.sop_instance_uid for one in newest], order.at)


def _path(conflict: Conflict) -> str:
    """Return a path in the study's directory that no other version has."""
    newer = conflict.newer
    return f"instances/{newer.study_instance_uid}/{newer.sop_instance_uid}-{newer.blake3[:16]}.dcm"


def _differs(newest: Sequence[Conflict]) -> list[str]:
    return sorted({name for one in newest for name in one.differs})
