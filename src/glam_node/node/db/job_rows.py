"""Jobs and their routing, as they are stored in rows."""

from collections.abc import Mapping, Sequence
from typing import Any

from glam_node.node.db.tables import JobRow
from glam_node.node.domain.job import FailureKind, InferenceJob, JobState, Priority, Routing, WrittenKinds
from glam_node.node.domain.prior_comparison import prior_exam_from_json


def as_job(row: JobRow) -> InferenceJob:
    """Return the job of a row."""
    return InferenceJob(
        job_id=row.job_id,
        study_instance_uid=row.study_instance_uid,
        state=JobState(row.state),
        attempt=row.attempt,
        sop_instance_uids=tuple(row.sop_instance_uids),
        priority=Priority(row.priority),
        settings_digest=row.settings_digest,
        algorithm_version=row.algorithm_version,
        lease_owner=row.lease_owner,
        lease_expires_at=row.lease_expires_at,
        next_attempt_at=row.next_attempt_at,
        failure=row.failure,
        failure_kind=FailureKind(row.failure_kind),
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        stage_seconds=tuple((str(stage), float(seconds)) for stage, seconds in row.stage_seconds),
        routing=Routing(
            row.rule,
            row.shadow,
            _names(row.destinations),
            _names(row.results),
            None if row.result_priority is None else Priority(row.result_priority),
        ),
        written_for=row.written_for
        and {name: WrittenKinds(one["settings_digest"], tuple(one["kinds"])) for name, one in row.written_for.items()},
        waits_until=row.waits_until,
        priors=None if row.priors is None else tuple(map(prior_exam_from_json, row.priors)),
        submitted_routing=None if row.submitted_routing is None else _routing(row.submitted_routing),
    )


def routing_values(routing: Routing) -> dict[str, Any]:
    """Return the values of the columns of a job's routing."""
    return {
        "rule": routing.rule,
        "shadow": routing.shadow,
        "destinations": None if routing.destinations is None else list(routing.destinations),
        "results": None if routing.results is None else list(routing.results),
        "result_priority": None if routing.priority is None else int(routing.priority),
    }


def _routing(stored: Mapping[str, Any]) -> Routing:
    return Routing(stored["rule"], stored["shadow"], _names(stored["destinations"]), _names(stored["results"]))


def _names(stored: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if stored is None else tuple(stored)
