"""Rules about results: the facts of an analysis that they ask about, and their decision before results are written."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from glam_node.inference.findings import FindingKind, Findings
from glam_node.node.db import alerts
from glam_node.node.db.standing import set_standing
from glam_node.node.domain.alert import Alert
from glam_node.node.domain.delivery import Delivery, DeliveryState
from glam_node.node.domain.event import EventDetail, EventKind
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.domain.prior_comparison import PriorExam
from glam_node.node.domain.routing import Action, ResultDecision, SiteRule, decide_on_results
from glam_node.node.domain.study import Holder, Standing, Study
from glam_node.node.results.identity import view_name
from glam_node.node.results.scores import image_score, operating_point, reaches
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.assemble.rule_headers import asked_fields, fields_of_images
from glam_node.node.workflow.record.events import record_event
from glam_node.rules.expression import Value

_LONGEST_SUBJECT = 128

log = structlog.get_logger(__name__)


def result_values(findings: Findings, priors: Sequence[PriorExam] = ()) -> dict[str, tuple[Value, ...]]:
    """Return the values of `rules.fields.RESULT_FIELDS`, which are the same for all images of the study."""
    images = findings.images
    values = {
        "findings": float(sum(len(image.findings) for image in images)),
        "remarks": float(sum(len(image.remarks) for image in images)),
        "images_not_analysed": float(sum(image.failure is not None for image in images)),
        "prior_exams": float(len(priors)),
    }
    stated = [*values.items(), *_score_values(findings), *_change_values(findings, priors)]
    return {name: (value,) for name, value in stated}


def _change_values(findings: Findings, priors: Sequence[PriorExam]) -> Iterator[tuple[str, float]]:
    """Yield what the comparison with the latest prior exam shows; nothing if its model was another one."""
    latest = next(iter(priors), None)
    if latest is None or not latest.same_model:
        return
    for kind, change in latest.changes.items():
        yield f"{kind}_change", change
    views = [image for image in findings.images if view_name(image) in latest.compared_views]
    if views:
        yield "new_findings", float(sum(len(image.findings) for image in views) - len(latest.correspondences))


def _score_values(findings: Findings) -> Iterator[tuple[str, float]]:
    for kind in FindingKind:
        scores = [score for image in findings.images if (score := image_score(image, kind)) is not None]
        point = operating_point(findings.algorithm, kind)
        if scores:
            yield f"{kind}_score", max(scores)
        if scores and point is not None:
            yield f"{kind}_images", float(sum(score >= point or reaches(score, point) for score in scores))


def decide_by_findings(
    findings: Findings,
    instances: Sequence[SOPInstance],
    site: Sequence[SiteRule],
    store: InstanceStore,
    priors: Sequence[PriorExam] = (),
) -> ResultDecision | None:
    """Return the decision of the site's rules about the results of a study, or None if none of them holds.

    Args:
        findings: The findings of the study.
        instances: The images that were analysed.
        site: The site's rules about results, in their order.
        store: The storage root, from which header fields are read if a rule asks about some.
        priors: The prior exams that the findings were compared with, the newest first.

    Raises:
        OSError: The disk failed.
    """
    if not site:
        return None
    headers = fields_of_images(instances, store, asked_fields(site))
    facts = result_values(findings, priors)
    return decide_on_results(instances, site, {uid: {**fields, **facts} for uid, fields in headers.items()})


def notify(session: Session, study: Study, decision: ResultDecision | None, now: datetime) -> None:
    """Queue a message about the study if the rule that decided about its results asks for it."""
    if decision is None or not decision.rule.notify:
        return
    uid = study.study_instance_uid
    notice = Alert(
        "rule",
        decision.rule.title[:_LONGEST_SUBJECT],
        f"Study {uid}: {decision.reason}.",
        f"`glam-node study show {uid}` and the console show its scores.",
    )
    alerts.notify(session, notice, now)


def hold_results(
    session: Session,
    study: Study,
    queued: Sequence[Delivery],
    decision: ResultDecision | None,
    now: datetime,
    released_by: str = "a person",
) -> None:
    """Hold a study whose rule says so before its results are sent, unless it is held or set aside already.

    Args:
        session: A session in a transaction.
        study: The study.
        queued: Its results.
        decision: The decision of a rule about the results; None if none holds.
        now: The time.
        released_by: Who releases the study, for people.
    """
    waits = any(one.state is DeliveryState.PENDING for one in queued)
    if decision is None or decision.rule.action is not Action.HOLD or study.standing is not Standing.FREE or not waits:
        return
    until = decision.held_until(now)
    end = f"{released_by} releases the study" if until is None else f"{until:%Y-%m-%d %H:%M:%S} UTC"
    reason = f"{decision.rule.title} holds the results until {end}"
    set_standing(session, study, Standing.HELD, reason, until, Holder.RULE)
    facts = EventDetail(rule=decision.rule.title, reason=reason, was=str(study.standing))
    record_event(log, session, EventKind.STUDY_HELD, now, study_instance_uid=study.study_instance_uid, **facts)
