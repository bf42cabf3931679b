"""Response times of the console and of monitoring with 100,000 recorded studies, or `BENCHMARK_STUDIES`.

Asserted: no response takes as long as reading the row of every study from the same database, and all metrics together
take less than two such reads. Milliseconds depend on the machine, so the report shows them; 100 for a response and 200
for the metrics were asserted earlier.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from glam_node.node.bootstrap import Node, build_node
from glam_node.node.console.destinations import facts
from glam_node.node.console.metrics_collector import measure
from glam_node.node.db import audit, backlog, deliveries, jobs, search, studies
from glam_node.node.db.engine import reading
from glam_node.node.db.search import StudyFilter, StudyPosition
from glam_node.node.db.tables import DeliveryRow, EventRow, InstanceRow, JobRow, StudyRow
from glam_node.node.domain.completeness import AssemblyPolicy
from glam_node.node.domain.event import EventKind
from glam_node.settings.destinations import CStoreSettings
from glam_node.settings.schema import Settings, StorageSettings
from tests.benchmarks.conftest import Record
from tests.builders import image_attributes
from tests.integration.postgresql import execute, postgresql_server, url_of

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(900)]

STUDIES = int(os.environ.get("BENCHMARK_STUDIES", "100000"))
AT_ONCE = 5_000
# Share of the time that reading all rows of studies takes; metrics need a dozen queries.
LARGEST_SHARE, LARGEST_SHARE_OF_METRICS = 1.0, 2.0
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
ATTRIBUTES = asdict(image_attributes())


SEARCHES = {
    "first page": (StudyFilter(), None),
    "far back": (StudyFilter(), StudyPosition(NOW - timedelta(minutes=90_000), "1.2.90000")),
    "back again": (StudyFilter(), StudyPosition(NOW - timedelta(minutes=90_000), "1.2.90000", newer=True)),
    "part of a UID": (StudyFilter(study_instance_uid="2.9999"), None),
    "no such UID": (StudyFilter(study_instance_uid="3.4"), None),
    "accession number": (StudyFilter(accession_number="A5"), None),
    "any accession number": (StudyFilter(accession_number="A"), None),
    "no such UID of a state": (StudyFilter(study_instance_uid="3.4", state="REPORTED"), None),
    "state and rule": (StudyFilter(state="REPORTED", rule="quiet_time"), None),
    "common state": (StudyFilter(state="REPORTED"), None),
    "rare state": (StudyFilter(state="INELIGIBLE"), None),
    "rule": (StudyFilter(rule="settle_time"), None),
    "a day": (StudyFilter(received_from=NOW - timedelta(days=30), received_before=NOW - timedelta(days=29)), None),
    "all at once": (StudyFilter("2.5", "A5", "REPORTED", "settle_time", NOW - timedelta(days=60), NOW), None),
}


def looked_for(wanted: StudyFilter, place: StudyPosition | None) -> Callable[[Session], object]:
    """Return the query of the list of studies."""
    return lambda session: search.count(session, wanted, search.find(session, wanted, place, 50))


def rows_of(number: int) -> dict[type, list[dict[str, object]]]:
    """Return the rows of one reported study with four images, a job, five results and twelve events."""
    at, uid, job = NOW - timedelta(minutes=number), f"1.2.{number}", f"job-{number}"
    study: dict[str, object] = {
        "study_instance_uid": uid,
        "state": "REPORTED",
        "rule": "settle_time",
        "reason": "whole",
        "accession_number": f"A{number}",
    }
    times: dict[str, object] = {"first_received_at": at, "receiving_since": at, "last_received_at": at}
    images = [
        {
            "sop_instance_uid": f"{uid}.{view}",
            "study_instance_uid": uid,
            "series_instance_uid": f"{uid}.9.{view}",
            "sop_class_uid": "1.2.840.10008.5.1.4.1.1.1.2",
            "transfer_syntax_uid": "1.2.840.10008.1.2.1",
            "path": f"instances/{uid}/{view}.dcm",
            "blake3": "0" * 64,
            "sha256": "",
            "byte_count": 17_000_000,
            "calling_ae_title": "PACS",
            "received_at": at,
            "attributes": ATTRIBUTES,
        }
        for view in range(4)
    ]
    results = [
        {
            "delivery_id": f"{uid}-{place}",
            "job_id": job,
            "study_instance_uid": uid,
            "destination": "archive",
            "sop_class_uid": "1.2.840.10008.5.1.4.1.1.66.4",
            "sop_instance_uid": f"{uid}.7.{place}",
            "transfer_syntax_uid": "1.2.840.10008.1.2.1",
            "path": f"results/{uid}/{place}.dcm",
            "state": "STORED",
            "next_attempt_at": at,
            "created_at": at,
            "stored_at": at,
        }
        for place in range(5)
    ]
    finished: dict[str, object] = {
        "job_id": job,
        "study_instance_uid": uid,
        "state": "SUCCEEDED",
        "sop_instance_uids": [f"{uid}.0"],
    }
    return {
        StudyRow: [study | times],
        InstanceRow: images,
        JobRow: [finished | {"settings_digest": "d", "next_attempt_at": at, "created_at": at}],
        DeliveryRow: results,
        EventRow: [
            {"at": at, "event": f"event_{place}", "study_instance_uid": uid, "detail": {}} for place in range(12)
        ],
    }


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.peer("postgresql"))])
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Yield a node with the studies of ten weeks."""
    storage = StorageSettings(root=tmp_path_factory.mktemp("node"))
    with ExitStack() as stack:
        server = stack.enter_context(postgresql_server()) if request.param == "postgresql" else None
        url = "" if server is None else url_of(server, "postgres")
        built = build_node(Settings(storage=storage, database_url=url))
        for first in range(0, STUDIES, AT_ONCE):
            with built.sessions.begin() as session:
                fill(session, range(first, first + AT_ONCE))
        if server is not None:
            execute(server, "VACUUM ANALYZE")  # as autovacuum does within ten weeks
        yield built
        built.sessions.kw["bind"].dispose()


def fill(session: Session, numbers: range) -> None:
    made = [rows_of(number) for number in numbers]
    for table in (StudyRow, InstanceRow, JobRow, DeliveryRow, EventRow):
        session.execute(insert(table), [row for one in made for row in one[table]])


def milliseconds(ask: Callable[[], object]) -> list[float]:
    """Return the milliseconds of five calls."""
    spent = []
    for _ in range(5):
        started = time.perf_counter()
        ask()
        spent.append(1000 * (time.perf_counter() - started))
    return spent


def test_no_question_takes_as_long_as_reading_every_study(node: Node, figure: Record) -> None:
    def asked(question: Callable[[Session], object]) -> Callable[[], object]:
        def ask() -> object:
            with reading(node.sessions)() as session:
                return question(session)

        return ask

    def every_study() -> object:
        with node.sessions() as session:
            return session.connection().execute(select(StudyRow.__table__)).fetchall()

    policy = AssemblyPolicy(10, 300, 3600)
    questions: dict[str, Callable[[], object]] = {
        "status: studies": asked(studies.counts_by_state),
        "status: jobs": asked(jobs.counts_by_state),
        "status: results": asked(deliveries.counts),
        "status: backlog": asked(lambda s: (backlog.oldest_unfinished_job(s), backlog.pending_deliveries(s))),
        "status: refusals": asked(lambda s: audit.recent(s, EventKind.ASSOCIATION_REJECTED, 5)),
        "list of 100 studies": asked(lambda s: studies.recent(s, 100)),
        **{f"console: {name}": asked(looked_for(wanted, place)) for name, (wanted, place) in SEARCHES.items()},
        "console: rules": asked(search.rules),
        "console: queue": asked(lambda s: (backlog.waiting_jobs(s), jobs.waiting(s, 50), jobs.failed(s, 50))),
        "console: destinations": asked(lambda s: facts(s, {"archive": CStoreSettings()})),
        "one study": asked(lambda s: (studies.get(s, "1.2.5"), jobs.of_study(s, "1.2.5"), audit.timeline(s, "1.2.5"))),
        "dispatcher: what is whole": asked(lambda s: studies.possibly_complete(s, policy, NOW, 100)),
        "dispatcher: what to retire": asked(lambda s: studies.retirable(s, NOW - timedelta(days=365), 20)),
        "all metrics": lambda: measure(node, NOW),
    }
    whole = milliseconds(every_study)
    took = {name: milliseconds(ask) for name, ask in questions.items()}
    for name, spent in (took | {"reading every study": whole}).items():
        figure(name if STUDIES == 100_000 else f"{name}, {STUDIES:,} studies", "ms", *spent)
    shares = {name: min(spent) / min(whole) for name, spent in took.items()}
    assert shares.pop("all metrics") <= LARGEST_SHARE_OF_METRICS
    assert {name: share for name, share in shares.items() if share > LARGEST_SHARE} == {}
