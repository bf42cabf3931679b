"""The step that finds the studies whose images have all arrived."""

from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from glam_node.node.db import studies
from glam_node.node.domain.completeness import AssemblyRules, completeness
from glam_node.node.domain.study import Study, StudyState
from glam_node.node.workflow.confirm import Confirmations
from glam_node.node.workflow.tell import tell

log = structlog.get_logger(__name__)

AT_ONCE = 100


def close_complete_studies(
    session: Session, now: datetime, rules: AssemblyRules, confirmations: Confirmations | None = None
) -> list[Study]:
    """Set the studies that are complete to COMPLETE, with the criterion and the reason, and return them.

    Each call looks at up to AT_ONCE studies, those that have waited longest first.
    """
    closed = []
    released = confirmations.release() if confirmations is not None else ()
    for study in studies.possibly_complete(session, rules, now, AT_ONCE, released):
        whole = completeness(study, rules, now, confirmations.of(study) if confirmations is not None else None)
        if whole.complete:
            closed.append(studies.set_state(session, study, StudyState.COMPLETE, whole.rule, whole.reason))
            _tell(session, closed[-1], now)
    return closed


def _tell(session: Session, study: Study, now: datetime) -> None:
    facts = {"rule": study.rule, "reason": study.reason, "instances": len(study.instances)}
    tell(log, session, "study_complete", now, study_instance_uid=study.study_instance_uid, **facts)
