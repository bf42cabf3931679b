"""The checks of `doctor` for the database: connection, schema, rights, clock, and the work that waits in it."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from glam_node.node.cli.checks import Check, Verdict, served_for_s, serving_process
from glam_node.node.cli.checks_of_host import NODE, UNMOUNTED, listener_of
from glam_node.node.db.database_status import DatabaseStatus
from glam_node.node.domain.words import counted
from glam_node.node.errors import NodeError, PermanentError, TransientError
from glam_node.settings.schema import Settings

WORKER_START_S = 60.0
"""Time after the start of a node in which a worker that does not answer may still load its model."""
CLOCK_FAIL = timedelta(seconds=60)
"""Difference between clocks above which recorded times are wrong (db.clock.SKEW)."""
CLOCK_WARN = timedelta(seconds=5)
"""Difference between clocks above which `doctor` warns."""


def check_database(settings: Settings) -> Iterator[Check]:
    """Check that the database answers, can be written, has a known schema, and agrees with this machine's clock."""
    from glam_node.node.bootstrap import database_trouble
    from glam_node.node.db.database_status import read_status
    from glam_node.node.db.engine import database_url
    from glam_node.settings.urls import without_password

    url, now = database_url(settings.database_url, settings.storage.root), datetime.now(UTC)
    shown = without_password(url)
    if url.startswith("sqlite") and not Path(url.partition("///")[2]).is_file():
        yield from _not_made(settings, url, shown)
        return
    try:
        with database_trouble(settings):
            found = read_status(url, now)
    except TransientError as error:
        yield Check(
            "database",
            Verdict.FAIL,
            str(error),
            "Start the database, or check database_url: host, port, user and password.",
        )
    except NodeError as error:
        yield Check("database", Verdict.FAIL, str(error))
    else:
        yield _schema(shown, found)
        yield from _clock(found, now)
        yield from _content(settings, found)


def _not_made(settings: Settings, url: str, shown: str) -> Iterator[Check]:
    from glam_node.node.bootstrap.base_node import lost_database
    from glam_node.node.db.local_disk import refuse_network_disk

    try:
        refuse_network_disk(url)
    except PermanentError as error:
        yield Check(
            "database", Verdict.FAIL, str(error), "Set database_url to a file on a local disk, or to PostgreSQL."
        )
        return
    if lost := lost_database(settings):
        yield Check("database", Verdict.FAIL, lost)
        return
    directory = Path(url.partition("///")[2]).parent
    if settings.database_url and not directory.is_dir():  # The first start creates storage.root.
        fact = f"{shown} cannot be created: there is no directory {directory}"
        yield Check(
            "database", Verdict.FAIL, fact, "Create the directory for the user of the node, or correct database_url."
        )
        return
    port = settings.tls.port or settings.node.port
    program, process = listener_of(port)
    if program == NODE:
        fact = f"{shown} does not exist, but a running glam-node (process {process}) uses port {port}, {UNMOUNTED}"
        yield Check("database", Verdict.FAIL, fact, "Check the mount of storage.root, and database_url.")
        return
    yield Check("database", Verdict.OK, f"{shown} does not exist yet; `glam-node serve` creates it")
    yield from _content(settings, DatabaseStatus())


def _schema(shown: str, found: DatabaseStatus) -> Check:
    from glam_node.node.db import migrate

    if found.revision and not migrate.knows(found.revision):
        fact = f"{shown} has schema {found.revision}, which is newer than this version supports ({migrate.newest()})"
        remedy = "Install the version that created it, or restore the backup from before the upgrade."
        return Check("database", Verdict.FAIL, fact, remedy)
    if found.refusal:
        remedy = (
            f"Make the file and its directory writable for user {os.getuid()} (`chown`), and the disk (`mount`)."
            if shown.startswith("sqlite")
            else "As the owner of the tables, run `GRANT ALL ON SCHEMA public TO USER; GRANT ALL ON ALL TABLES IN "
            "SCHEMA public TO USER`, with the user of database_url. The disk of the database may also be read-only."
        )
        return Check("database", Verdict.FAIL, f"{shown} cannot be changed: {found.refusal}", remedy)
    if not found.is_current:
        older = f"has schema {found.revision}, older than {migrate.newest()}" if found.revision else "is empty"
        return Check("database", Verdict.OK, f"{shown} {older}; `glam-node serve` creates or upgrades its tables")
    return Check("database", Verdict.OK, f"{shown} answers and has the newest schema ({found.revision})")


def _clock(found: DatabaseStatus, now: datetime) -> Iterator[Check]:
    """Compare the clock of this machine with the newest stored row and with the clock of the database."""
    if found.newest_at is not None and found.newest_at - now > CLOCK_FAIL:
        newest = f"{found.newest_at:%Y-%m-%d %H:%M:%S}"
        fact = f"this machine says {now:%Y-%m-%d %H:%M:%S} UTC, but the newest row was written at {newest}"
        yield Check(
            "clock",
            Verdict.FAIL,
            fact,
            "The clock was set back, or was ahead. Synchronize it (chrony, systemd-timesyncd).",
        )
    elif found.server_time is not None:
        yield compare_clocks("the database", found.server_time, now)
    else:
        yield Check("clock", Verdict.OK, f"{now:%Y-%m-%d %H:%M:%S} UTC; no stored time is later")


def compare_clocks(whose: str, theirs: datetime, now: datetime) -> Check:
    """Compare the clock of this machine with that of another system.

    Args:
        whose: The other system, for example "the broker".
        theirs: The time that the other system reported.
        now: The time of this machine.
    """
    apart = abs(theirs - now)
    fact = f"differs from the clock of {whose} by {apart.total_seconds():.1f} s"
    verdict = Verdict.FAIL if apart > CLOCK_FAIL else Verdict.WARN if apart > CLOCK_WARN else Verdict.OK
    remedy = "Synchronize both machines with one time server (chrony, systemd-timesyncd)."
    return Check("clock", verdict, fact, remedy if verdict is not Verdict.OK else "")


def _content(settings: Settings, found: DatabaseStatus) -> Iterator[Check]:
    from glam_node.node.bootstrap.base_node import root_trouble

    trouble = root_trouble(settings, found.storage_id, found.newest_files, is_bound=found.is_bound)
    if trouble:
        yield Check("storage", Verdict.FAIL, trouble, "No process of the node starts until this is corrected.")
    gone = {n: c for n, c in (found.waiting_deliveries or {}).items() if n not in settings.destinations}
    if gone:
        waiting = ", ".join(f"{counted(count, 'result')} for destinations.{name}" for name, count in gone.items())
        waiting = f"waiting results have no destination in the settings: {waiting}"
        remedy = "Restore the section under that name until the results are sent."
        yield Check("deliveries", Verdict.WARN, waiting, remedy)
    yield from _workers(settings, found)
    yield from _console(settings, found)


def _workers(settings: Settings, found: DatabaseStatus) -> Iterator[Check]:
    from glam_node.node.worker.broker import workers_waiting
    from glam_node.node.worker.embedded_broker import embedded_url

    serving = serving_process(settings.storage.root)
    if not settings.broker_url and not serving:
        yield Check("workers", Verdict.OK, "no node runs; `glam-node serve` starts one")
        return
    try:
        idle = workers_waiting(settings.broker_url or embedded_url(settings.storage.root))
    except NodeError:  # The check of the broker reports this failure.
        return
    fact = f"{counted(idle, 'worker')} idle, {found.running_jobs} busy; {counted(found.waiting_jobs, 'job')} waiting"
    if idle + found.running_jobs:
        yield Check("workers", Verdict.OK, fact)
        return
    if serving and served_for_s(settings.storage.root) < WORKER_START_S:
        said = f"no worker is ready yet: the node has just started; {fact}"
        yield Check("workers", Verdict.WARN, said, "A worker loads its model first. Run this again in a minute.")
        return
    start = "`glam-node worker` with these settings" if settings.broker_url else "see the log of `glam-node serve`"
    verdict = Verdict.FAIL if found.waiting_jobs else Verdict.WARN
    yield Check("workers", verdict, f"no worker runs: {fact}", f"Start one: {start}.")


def _console(settings: Settings, found: DatabaseStatus) -> Iterator[Check]:
    if not settings.console.port:
        return
    from glam_node.node.console.app import is_local, refuse_plain_text

    encrypted = settings.console.certificate is not None
    try:
        if found.has_accounts:
            refuse_plain_text(settings.console.host, encrypted)
    except NodeError as error:
        yield Check("console", Verdict.FAIL, str(error), "Set console.certificate and console.key, or console.host.")
        return
    is_open = is_local(settings.console.host) and not settings.console.trusted_proxies
    if is_open or found.has_accounts or settings.console.oidc.issuer:
        yield Check("console", Verdict.OK, f"{settings.console.host}:{settings.console.port}")
        return
    remedy = "Create an account with `glam-node console user add`, and set console.certificate and console.key."
    yield Check(
        "console", Verdict.WARN, f"no user can sign in at {settings.console.host}; only metrics are served", remedy
    )
