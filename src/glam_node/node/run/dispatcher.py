"""The dispatcher: closes studies, submits jobs, and announces waiting jobs to the workers.

It also runs retirement, the audit trail, confirmation of studies, alerts, traces and canaries, each in a thread.
"""

import socket
import threading
from datetime import UTC, datetime, timedelta

from glam_node.node.bootstrap import Node, database_trouble, prior_source
from glam_node.node.bootstrap.hospital import change_policy
from glam_node.node.db import imaging_orders, studies, workers
from glam_node.node.db.engine import reading
from glam_node.node.domain.job import Priority
from glam_node.node.errors import TransientError
from glam_node.node.run.canary import keep_canaries
from glam_node.node.run.process import Running, repeat, run_process, until_it_works
from glam_node.node.scu.otlp import span_exporter
from glam_node.node.storage.instances import DISK_LOW
from glam_node.node.worker.broker import broker_url
from glam_node.node.worker.celery_app import create_app
from glam_node.node.worker.queue import CeleryQueue
from glam_node.node.workflow.assemble.completion import close_complete_studies
from glam_node.node.workflow.assemble.fetch_priors import PriorFetcher
from glam_node.node.workflow.assemble.rule_headers import headers_of_complete_studies
from glam_node.node.workflow.assemble.settle_priors import settle_priors
from glam_node.node.workflow.assemble.submit import announce_waiting_jobs, submit_complete_studies
from glam_node.node.workflow.operate.imaging_orders import release_read_studies
from glam_node.node.workflow.operate.patient_changes import check_arrived
from glam_node.node.workflow.operate.recovery import recover, shorten_impossible_waits
from glam_node.node.workflow.operate.retention import finish_retirement, retire, retire_newer_versions
from glam_node.node.workflow.operate.standing import release_when_due
from glam_node.node.workflow.record.alerts import StorageLoss, send_alerts, update_alerts
from glam_node.node.workflow.record.audit_trail import EVENTS_AT_ONCE, forward_audit_messages, write_audit_messages
from glam_node.node.workflow.record.events import record_settings
from glam_node.node.workflow.record.traces import Export, export_traces
from glam_node.settings.digest import section_digests
from glam_node.settings.schema import Settings

INTERVAL_S = 0.5
LEAST_INTERVAL_S = 0.1
EXPORT_INTERVAL_S = 2.0
ALERT_INTERVAL_S = 5.0
TIDY_INTERVAL_S = 60.0
WORKERS_REMEMBERED = timedelta(days=1)


def run(running: Running) -> None:
    """Dispatch until asked to stop.

    Raises:
        PermanentError: Traces are configured and their packages are not installed.
    """
    export = _trace_export(running.settings)
    queue = CeleryQueue(create_app(broker_url(running.settings)))
    _record_settings(running)
    running.ready()
    threads = [
        threading.Thread(target=_retire, args=(running,), name="retirement"),
        threading.Thread(target=_keep_audit_trail, args=(running,), name="audit trail"),
        threading.Thread(target=_confirm, args=(running,), name="confirmation"),
        threading.Thread(target=_fetch_priors, args=(running,), name="prior exams"),
        threading.Thread(target=_watch, args=(running,), name="alerts"),
        threading.Thread(target=_export, args=(running, export), name="traces"),
        threading.Thread(target=keep_canaries, args=(running,), name="canary"),
    ]
    for thread in threads:
        thread.start()
    repeat(lambda: _dispatch(running.node, queue), every_s=INTERVAL_S, stop=running.stop)
    for thread in threads:
        thread.join()


def _confirm(running: Running) -> None:
    def ask() -> None:
        node = running.node
        if node.confirmations is not None:
            with database_trouble(node.settings):
                node.confirmations.ask(node.sessions, node.assembly_policy, datetime.now(UTC))

    repeat(ask, every_s=INTERVAL_S, stop=running.stop)


def _fetch_priors(running: Running) -> None:
    node = running.node
    fetcher = PriorFetcher(node.sessions, node.store, lambda name: prior_source(name, node))

    def start() -> None:
        with database_trouble(node.settings):
            fetcher.start_due()

    repeat(start, every_s=INTERVAL_S, stop=running.stop)


def _keep_audit_trail(running: Running) -> None:
    repeat(lambda: write_audit_trail(running.node), every_s=EXPORT_INTERVAL_S, stop=running.stop)


def _watch(running: Running) -> None:
    loss = StorageLoss()
    repeat(lambda: check_alerts(running.node, datetime.now(UTC), loss), every_s=ALERT_INTERVAL_S, stop=running.stop)


def _record_settings(running: Running) -> None:
    """Record the settings in force, as soon as the database answers."""

    def record() -> None:
        node = running.node
        with database_trouble(node.settings):
            record_settings(node.sessions, section_digests(node.settings), datetime.now(UTC))

    until_it_works(record, running.stop)


def _retire(running: Running) -> None:
    until_it_works(lambda: finish_retirement(running.node.sessions, running.node.store), running.stop, Exception)
    repeat(lambda: tidy(running.node, datetime.now(UTC)), every_s=TIDY_INTERVAL_S, stop=running.stop)


def tidy(node: Node, now: datetime) -> None:
    """Remove workers that were not seen for a day, and the files of studies and conflicts that retention removes.

    Raises:
        TransientError: The storage root or the database does not answer.
    """
    with database_trouble(node.settings):
        with node.sessions.begin() as session:
            workers.remove_unseen(session, now - WORKERS_REMEMBERED)
            imaging_orders.remove_old(session, now - node.retention_policy.age)
        node.store.require()
        retire_newer_versions(node.sessions, node.store, node.retention_policy, now)
        while retire(node.sessions, node.store, node.retention_policy, now):
            continue


def write_audit_trail(node: Node) -> None:
    """Write a message for every new event, and send all messages to the collector if there is one.

    Raises:
        TransientError: The collector or the database does not answer.
    """
    with database_trouble(node.settings):
        while write_audit_messages(node.sessions, node.reporting, node.store, datetime.now(UTC)) >= EVENTS_AT_ONCE:
            continue
        if node.collector is None:
            return
        host = socket.gethostname()
        while forward_audit_messages(node.sessions, node.collector.send, host, lambda: datetime.now(UTC)):
            continue


def check_alerts(node: Node, now: datetime, loss: StorageLoss) -> None:
    """Record which alerts began or ended, and send them to every channel.

    If the database does not answer because the storage root is away, that alert is sent without the database.

    Raises:
        TransientError: The database does not answer.
    """
    live = [name for name, destination in node.settings.destinations.items() if destination.mode == "live"]
    free = node.store.free_bytes_or_none()
    space = free, node.settings.storage.minimum_free_bytes
    try:
        with database_trouble(node.settings):
            update_alerts(node.sessions, node.alert_policy, live, space, list(node.alert_channels), now)
            while send_alerts(node.sessions, node.alert_channels, lambda: now):
                continue
    except TransientError:
        if free is None:
            loss.report(node.alert_policy, node.alert_channels, now)
        raise
    if free is not None:
        loss.report_over(node.alert_channels, now)


def _trace_export(settings: Settings) -> Export | None:
    chosen = settings.telemetry
    return span_exporter(chosen.otlp_endpoint, settings.node.ae_title, chosen.timeout) if chosen.otlp_endpoint else None


def _export(running: Running, export: Export | None) -> None:
    if export is not None:
        repeat(lambda: write_traces(running.node, export), every_s=EXPORT_INTERVAL_S, stop=running.stop)


def write_traces(node: Node, export: Export) -> None:
    """Export all traces that were not exported yet.

    Raises:
        TransientError: The collector or the database does not answer.
    """
    with database_trouble(node.settings):
        while export_traces(node.sessions, export, datetime.now(UTC)):
            continue


def _dispatch(node: Node, queue: CeleryQueue) -> float:
    """Dispatch once, and return the seconds until the next study settles, or INTERVAL_S if none does before."""
    now = datetime.now(UTC)
    tick(node, queue, now)
    settle_time = timedelta(seconds=node.assembly_policy.settle_time_s)
    with database_trouble(node.settings), reading(node.sessions)() as session:
        received = studies.settles_next(session, now - settle_time)
    if received is None:
        return INTERVAL_S
    wait_s = (received + settle_time - datetime.now(UTC)).total_seconds()
    return min(max(wait_s, LEAST_INTERVAL_S), INTERVAL_S)


def tick(node: Node, queue: CeleryQueue, now: datetime) -> None:
    """Close and submit complete studies, recover jobs of crashed workers, end holds, and announce waiting jobs.

    Each step is a separate transaction, so that its decisions remain stored if the broker does not answer.

    Raises:
        TransientError: The disk is too full for new work, or the database or broker does not answer.
    """
    with database_trouble(node.settings):
        with node.sessions.begin() as session:
            # Connect before reading the clock: times that others wrote during the wait must not be in the future.
            session.connection()
            shorten_impossible_waits(
                session,
                datetime.now(UTC),
                lease_time_s=node.inference.lease_time_s,
                inference_policy=node.inference.policy,
                delivery_policy=node.delivery_policy,
                commitment_policy=node.commitment_policy,
            )
        with node.sessions.begin() as session:
            recover(session, now)
        with node.sessions.begin() as session:
            release_when_due(session, now)
            release_read_studies(session, now, node.settings.hl7.assigning_authority)
        _need_room(node)
        with node.sessions.begin() as session:
            close_complete_studies(session, now, node.assembly_policy, node.confirmations)
        with node.sessions.begin() as session:
            check_arrived(session, change_policy(node.settings.hl7), now)
        headers = headers_of_complete_studies(node.sessions, node.store, node.submission_policy.site)
        with node.sessions.begin() as session:
            submit_complete_studies(session, now, node.submission_policy, headers)
        with node.sessions.begin() as session:
            settle_priors(session, now)
        for priority in sorted(set(Priority) - queue.full_priorities()):
            with node.sessions() as session:
                announce_waiting_jobs(session, queue, priority, now)


def _need_room(node: Node) -> None:
    node.store.require()
    least = node.settings.storage.pause_free_bytes
    if not node.store.has_room(least):
        raise TransientError(DISK_LOW.format(bytes=least))


def main() -> None:
    """Run the dispatcher until SIGTERM or SIGINT."""
    run_process("dispatcher", run)
