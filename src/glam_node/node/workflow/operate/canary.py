"""Canaries: the node sends itself a synthetic study, follows it to its results and judges them.

The state of a canary is in the database, so that a dispatcher that starts again goes on where it was.
"""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from glam_node.inference.errors import InferenceError
from glam_node.node.db import canary
from glam_node.node.db.engine import SessionFactory, reading
from glam_node.node.domain.canary import WHOLE_TIME, CanaryRun, CanaryState, Observation, deviations
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.ports import OutgoingInstance, StoreOutcome
from glam_node.node.domain.study import StudyState
from glam_node.node.domain.words import counted, unstopped
from glam_node.node.errors import TransientError
from glam_node.node.storage.findings import latest_findings
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.operate.canary_study import make_images, observe, remove_images, remove_study, templates
from glam_node.node.workflow.operate.study_progress import (
    LAST_STORE_TO_LAST_RESULT,
    Progress,
    progress_of,
    stage_seconds,
)

log = structlog.get_logger(__name__)

SEND_AGAIN_AFTER = timedelta(seconds=15)
KEPT = timedelta(days=90)

Send = Callable[[Sequence[OutgoingInstance], str], list[StoreOutcome]]
"""Function that sends images to the node's own port with a pass code."""
Withdraw = Callable[[Progress], str]
"""Function that withdraws the delivered results; it returns what could not be withdrawn, in words."""

NOT_ITS_OWN = "The study has images that the canary did not send, so it was neither withdrawn nor removed."


@dataclass(frozen=True, slots=True)
class CanaryPolicy:
    """Settings of the canary."""

    every: timedelta
    """Time between two canaries; zero for none."""
    limit: timedelta
    """Time from the last C-STORE to the last stored result."""
    tolerance: float
    issuer_of_patient_id: str
    finds_lesions: bool = False
    """Whether the model is known to outline every lesion of the canary."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a canary."""

    failure: str
    observation: Observation = field(default_factory=Observation)
    stages: tuple[tuple[str, float], ...] = ()


class Canaries:
    """The canaries of a node; one process calls `step` again and again."""

    def __init__(
        self, sessions: SessionFactory, store: InstanceStore, policy: CanaryPolicy, send: Send, withdraw: Withdraw
    ) -> None:
        self._sessions = sessions
        self._store = store
        self._policy = policy
        self._send = send
        self._withdraw = withdraw
        self._started_at: datetime | None = None

    def step(self, now: datetime) -> None:
        """Do what is due: ask for a canary, send its images, or judge it.

        Raises:
            TransientError: The storage root is away.
            OSError: The disk failed.
        """
        self._started_at = self._started_at or now
        with reading(self._sessions)() as session:
            run = canary.unfinished(session)
            last = canary.last_judged(session)
            kept = canary.kept(session)
        # A study that failed stays until the next canary, for a person who looks for the cause.
        ended = [one for one in kept if one.state is not CanaryState.FAILED or run is not None]
        if ended:
            for one in ended:
                self._remove(one)
        elif run is None:
            if self._is_due(last, now):
                with self._sessions.begin() as session:
                    canary.forget(session, now, KEPT)
                    canary.request(session, now, scheduled=True)
        elif run.state is CanaryState.SENDING:
            self._interrupt(run, now)
        elif run.state is CanaryState.WAITING:
            self._watch(run, now)
        elif run.next_attempt_at <= now:
            self._begin(run, now)

    def _is_due(self, last: CanaryRun | None, now: datetime) -> bool:
        return bool(self._policy.every) and (last is None or last.requested_at + self._policy.every <= now)

    def _interrupt(self, run: CanaryRun, now: datetime) -> None:
        """End a canary whose images an earlier process was sending, without a verdict."""
        with self._sessions.begin() as session:
            failure = "The node stopped while it sent the images."
            canary.finish(session, run, CanaryState.INTERRUPTED, now, failure=failure)
        log.info("canary_interrupted", study_instance_uid=run.study_instance_uid)

    def _begin(self, run: CanaryRun, now: datetime) -> None:
        pass_code = secrets.token_urlsafe(32)
        try:
            images = make_images(run, self._store.root, self._policy.issuer_of_patient_id)
        except TransientError as error:
            self._fail(run, str(error), now)
            return
        with self._sessions.begin() as session:
            if not canary.begin_sending(session, run, pass_code):
                return
        began = time.monotonic()
        outcomes = self._send(images, pass_code)
        remove_images(self._store.root)
        self._record_sending(run, outcomes, now + timedelta(seconds=time.monotonic() - began))

    def _record_sending(self, run: CanaryRun, outcomes: Sequence[StoreOutcome], now: datetime) -> None:
        refused = [one for one in outcomes if not one.stored]
        if not refused:
            with self._sessions.begin() as session:
                canary.set_sent(session, run, now)
            log.info("canary_sent", study_instance_uid=run.study_instance_uid, images=len(outcomes))
            return
        failure = _refusal(refused[0])
        if refused[0].transient and now < run.requested_at + self._policy.limit:
            with self._sessions.begin() as session:
                canary.send_again(session, run, now + SEND_AGAIN_AFTER, failure)
            log.warning("canary_not_sent", failure=failure)
        else:
            self._fail(run, failure, now)

    def _watch(self, run: CanaryRun, now: datetime) -> None:
        progress = progress_of(reading(self._sessions), run.study_instance_uid)
        verdict = self._verdict(run, progress, now)
        if verdict is None:
            return
        if verdict.failure or progress is None:
            self._fail(run, verdict.failure, now, verdict)
            return
        with self._sessions.begin() as session:
            state, seen = CanaryState.PASSED, verdict.observation
            canary.finish(session, run, state, now, observation=seen, stages=verdict.stages)
        log.info("canary_passed", study_instance_uid=run.study_instance_uid, stages=dict(verdict.stages))

    def _remove(self, run: CanaryRun) -> None:
        """Withdraw the results of a canary, and remove its study; one with images of another sender stays as it is."""
        with self._sessions.begin() as session:
            kept = canary.others_images(session, run)
            if kept:
                canary.set_absent(session, run, NOT_ITS_OWN)
        if kept:
            log.warning("canary_not_removed", study_instance_uid=run.study_instance_uid, reason=NOT_ITS_OWN)
            return
        progress = progress_of(reading(self._sessions), run.study_instance_uid)
        remark = self._withdraw(progress) if progress is not None else ""
        if remark:
            log.warning("canary_not_withdrawn", study_instance_uid=run.study_instance_uid, failure=remark)
        remove_study(run, self._sessions, self._store, remark)

    def _fail(self, run: CanaryRun, failure: str, now: datetime, verdict: Verdict | None = None) -> None:
        """Record a failure."""
        seen, stages = (verdict.observation, verdict.stages) if verdict is not None else (None, ())
        with self._sessions.begin() as session:
            current = canary.get(session, run.run_id) or run
            state = CanaryState.FAILED
            canary.finish(session, current, state, now, failure=failure, observation=seen, stages=stages)
        log.error("canary_failed", study_instance_uid=run.study_instance_uid, failure=failure)

    def _verdict(self, run: CanaryRun, progress: Progress | None, now: datetime) -> Verdict | None:
        """Return the verdict; None while the canary has time."""
        if progress is None:
            return Verdict("The node no longer has the study of the canary.")
        if progress.study.state is StudyState.INELIGIBLE:
            study = progress.study
            return Verdict(f"The study was not analysed, by {study.rule}: {unstopped(study.reason)}.")
        if progress.failure:
            return Verdict(progress.failure)
        if not _has_results(progress):
            return self._late(run, progress, now)
        return self._judged(progress)

    def _late(self, run: CanaryRun, progress: Progress, now: datetime) -> Verdict | None:
        """Return a failure after the limit, which begins again if the node was down meanwhile."""
        sent_at = run.sent_at or run.requested_at
        since = max(sent_at, self._started_at or sent_at)
        if now <= since + self._policy.limit:
            return None
        limit = f"{self._policy.limit.total_seconds():.0f} s"
        waits = next((one.failure for one in progress.deliveries if one.failure), "")
        return Verdict(f"No result within {limit} (canary.limit): {progress.step}. {waits}".strip())

    def _judged(self, progress: Progress) -> Verdict:
        steps = tuple(one for one in stage_seconds(progress) if one[0] != LAST_STORE_TO_LAST_RESULT)
        stages = (*steps, (WHOLE_TIME, _whole_time(progress)))
        try:
            found = latest_findings(self._store.root, progress.jobs)
        except InferenceError as error:
            return Verdict(f"The findings file cannot be read: {error}", stages=stages)
        if found is None:
            return Verdict("The findings file of the analysis is gone.", stages=stages)
        _, boxes = templates(self._store.root)
        seen = observe(found, boxes)
        failed = [one.failure for one in found.images if one.failure is not None]
        if failed:
            return Verdict(f"{counted(len(failed), 'image')} could not be analysed: {failed[0]}", seen, stages)
        with reading(self._sessions)() as session:
            first = canary.first_passed(session, seen.algorithm)
        differs = list(deviations(seen, first.observation if first is not None else None, self._policy.tolerance))
        if differs:
            failure = f"The results are not those of the first canary with this package: {'; '.join(differs)}."
            return Verdict(failure, seen, stages)
        missed = sorted(boxes.keys() - set(seen.lesions)) if self._policy.finds_lesions else []
        failure = f"The model does not outline the lesions {', '.join(missed)}, which it outlines everywhere else."
        return Verdict(failure if missed else "", seen, stages)


def _refusal(outcome: StoreOutcome) -> str:
    """Return why the node's own port did not store an image, in words."""
    if outcome.status is None or outcome.sop_class_refused:
        return outcome.failure
    return (
        f"The node's own port answered 0x{outcome.status:04X} to the C-STORE of an image. `glam-node status` lists "
        "refused instances with the reason."
    )


def _has_results(progress: Progress) -> bool:
    """Return whether the results are written and every destination has what it is to get."""
    waiting = any(one.state is DeliveryState.PENDING for one in progress.deliveries)
    return progress.study.state is StudyState.REPORTED and not waiting


def _whole_time(progress: Progress) -> float:
    stored = [one.stored_at for one in progress.deliveries if one.stored_at is not None]
    written = [job.finished_at for job in progress.jobs if job.finished_at is not None]
    return max(0.0, (max(stored or written) - progress.study.last_received_at).total_seconds())
