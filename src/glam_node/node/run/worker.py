"""The worker: loads the model once and runs jobs; no other process uses a GPU."""

import gc
import os
import threading
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import structlog

from glam_node.inference.errors import DeviceUnavailable, InferenceError, OutOfMemory
from glam_node.inference.options import Measure
from glam_node.inference.predictor import Predictor
from glam_node.inference.route_record import RouteDecision
from glam_node.node.bootstrap import Node, database_trouble, load_configured_predictor
from glam_node.node.bootstrap.messages import template_problems
from glam_node.node.db import jobs
from glam_node.node.db.engine import reading
from glam_node.node.errors import PermanentError, TransientError
from glam_node.node.run.process import Running, run_process, until_it_works
from glam_node.node.run.single_process import keep_running
from glam_node.node.run.skipped_imports import allow_imports
from glam_node.node.run.worker_registry import registered
from glam_node.node.worker.broker import broker_url, messages_waiting
from glam_node.node.worker.celery_app import create_app
from glam_node.node.worker.consume import consume, register_run_job
from glam_node.node.worker.job_overlap import JobOverlap
from glam_node.node.worker.watchdog import Watchdog
from glam_node.node.workflow.analyse.run_job import run_job
from glam_node.node.workflow.operate.recovery import recover, this_process
from glam_node.settings.schema import Settings

log = structlog.get_logger(__name__)

EXIT_DEAF = 75
"""The exit code of a worker that no longer receives messages and must be restarted (EX_TEMPFAIL of sysexits.h)."""


def work(settings: Settings, settings_path: Path | None) -> None:
    """Supervise a worker from the main thread, and restart it when it exits, until SIGTERM or SIGINT.

    Raises:
        PermanentError: The worker cannot start until a person acts.
    """
    broker_url(settings)
    keep_running("worker", settings, settings_path)


def run(running: Running) -> None:
    """Run jobs until asked to stop.

    Raises:
        TransientError: The device failed or ran out of memory; only a new process may recover.
        PermanentError: The model package, or the template of HL7 messages, cannot be used.
    """
    url = broker_url(running.settings)
    for problem in template_problems(running.settings).values():
        raise PermanentError(problem)
    until_it_works(lambda: _recover(running.node), running.stop)
    predictor = _load(running.settings)
    watchdog = Watchdog(partial(messages_waiting, url), lambda: os._exit(EXIT_DEAF))
    lost = threading.Event()
    app = create_app(url)
    overlap = JobOverlap(
        partial(_run_job, running, predictor, lost),
        partial(_begun_before, running.node),
        running.stop,
        places=_places(running.settings, predictor),
    )
    register_run_job(app, watchdog.watched(overlap.begin))
    watchdog.start()
    if running.node.inference.kinds.phantoms_only:
        log.warning(
            "demonstration_package",
            fact="The model package was trained on synthetic images: patients' images are left out.",
            remedy="Set inference.package, or inference.demonstration_on_patients = true to try the node nevertheless.",
        )
    _log_ready(predictor)
    gc.freeze()  # model and torch stay, too
    with registered(running, predictor):
        consume(app, ready=running.ready, stop=running.stop)
        overlap.finish()
    if lost.is_set():
        raise TransientError("The device failed or ran out of memory. The worker restarts.")


def _recover(node: Node) -> None:
    """Recover jobs of crashed workers on this host, which a dispatcher on another host cannot see."""
    with database_trouble(node.settings), node.sessions.begin() as session:
        recover(session, datetime.now(UTC))


def _load(settings: Settings) -> Predictor:
    allow_imports()
    try:
        return load_configured_predictor(settings, Measure.ONCE)
    except DeviceUnavailable as error:
        raise TransientError(str(error)) from error
    except InferenceError as error:
        raise PermanentError(str(error)) from error


def _log_ready(predictor: Predictor) -> None:
    route: str = getattr(predictor, "route", "")
    decision: RouteDecision | None = getattr(predictor, "route_decision", None)
    if decision is not None and decision.problem:
        log.warning("route_problem", fact=decision.problem)
    reason = decision.reason if decision else ""
    log.info("worker_ready", algorithm_version=predictor.algorithm.algorithm_version, route=route, reason=reason)


def _places(settings: Settings, predictor: Predictor) -> int:
    """Return the number of jobs to run at once: two if a job spends time waiting for a device."""
    waits = settings.inference.overlap == "always" or (
        settings.inference.overlap == "auto" and getattr(predictor, "waits_for_a_device", False)
    )
    return 2 if waits else 1


def _begun_before(node: Node, job_id: str) -> bool:
    with reading(node.sessions)() as session:
        job = jobs.get(session, job_id)
    return job is not None and job.attempt > 0


def _run_job(running: Running, predictor: Predictor, lost: threading.Event, job_id: str) -> None:
    try:
        run_job(
            job_id,
            sessions=running.node.sessions,
            store=running.node.store,
            predictor=predictor,
            context=running.node.inference,
            now=lambda: datetime.now(UTC),
            owner=this_process(),
        )
    except DeviceUnavailable as error:
        log.error("out_of_memory" if isinstance(error, OutOfMemory) else "device_lost", failure=str(error))
        lost.set()
        running.stop.set()


def main() -> None:
    """Run the worker until SIGTERM or SIGINT."""
    run_process("worker", run)
