"""A whole node with site rules that send studies to one of two archives, into shadow, or nowhere."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid

from glam_node.node.bootstrap import Node
from glam_node.node.db import audit, deliveries, studies
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.event import EventKind
from glam_node.node.domain.study import Study, StudyState
from tests.integration.archive import Archive, listening
from tests.integration.modality import send, small_exam
from tests.integration.node_directory import NodeDirectory, write_node
from tests.integration.run.serving import serving
from tests.waiting import wait_until

RULES = """
[destinations.trial]
ae_title = "TRIAL"
host = "127.0.0.1"
port = {port}
results = ["segmentation"]
mode = "live"
[destinations.watched]
ae_title = "WATCHED"
host = "127.0.0.1"
port = 1
mode = "shadow"
results = ["measurement_report"]
[destinations.planned]
ae_title = "PLANNED"
host = "127.0.0.1"
port = 1
mode = "dry_run"
[rules.after]
when = 'findings > 1000'
then = "hold"
hold_time = 1.0
results = ["segmentation"]
[rules.spot]
when = 'KVP == 99'
then = "ignore"
level = "image"
[rules.tried]
when = 'Manufacturer == "EPSILON"'
then = "dry_run"
level = "study"
[rules.left_out]
when = 'Manufacturer == "Delta"'
then = "ignore"
[rules.watched]
when = 'Manufacturer like "gam*" and standard_views == 4'
then = "shadow"
priority = "screening"
[rules.research]
when = 'Manufacturer == "BETA" and KVP > 0'
destinations = ["trial", "planned", "watched"]
holds_for = "any"
priority = "backfill"
[rules.clinical]
when = 'Manufacturer == "ALPHA" or calling_ae_title == "NOBODY"'
then = "analyse"
holds_for = "all"
priority = "urgent"
destinations = ["archive"]
"""


def exam_of(manufacturer: str, seed: int) -> list[Dataset]:
    views = small_exam(seed)
    for view in views:
        view.Manufacturer = manufacturer
        view.KVP = 28
    return views


@pytest.fixture
def trial() -> Iterator[Archive]:
    with listening(Archive(ae_title="TRIAL")) as running:
        yield running


def with_a_spot_view(views: list[Dataset]) -> list[Dataset]:
    """Add a view that the site leaves out."""
    spot = deepcopy(views[0])
    spot.SOPInstanceUID, spot.KVP = generate_uid(), 99
    return [*views, spot]


def sent_to(archive: Archive) -> set[str]:
    """Return the studies of which the archive got any object."""
    return {str(received.dataset().StudyInstanceUID) for received in archive.received}


def routed(path: Path, archive: Archive, trial: Archive) -> NodeDirectory:
    directory = write_node(path, archive_port=archive.port)
    with directory.settings_path.open("a") as file:
        file.write(RULES.format(port=trial.port))
    return directory


def all_judged(node: Node) -> bool:
    with node.sessions() as session:
        states = [study.state for study in studies.recent(session, 9)]
    return sorted(states) == sorted([StudyState.INELIGIBLE] * 2 + [StudyState.REPORTED] * 3)


@pytest.mark.timeout(300)
@pytest.mark.features(
    "rules.NAME.when", "rules.NAME.then*", "rules.NAME.level*", "rules.NAME.holds_for*", "destinations.NAME.mode*"
)
@pytest.mark.features("rules.NAME.destinations", "rules.NAME.priority*", "rules.NAME.hold_time")
def test_rules_route_studies_to_two_archives_into_shadow_and_nowhere(
    archive: Archive, trial: Archive, tmp_path: Path
) -> None:
    directory = routed(tmp_path / "node", archive, trial)
    exams = {name: exam_of(name, seed) for seed, name in enumerate(("ALPHA", "BETA", "GAMMA", "DELTA", "EPSILON"))}
    exams["ALPHA"] = with_a_spot_view(exams["ALPHA"])
    uids = {name: str(views[0].StudyInstanceUID) for name, views in exams.items()}
    with serving(directory) as serve:
        for views in exams.values():
            send(serve.port, views)
        node = directory.build()
        wait_until(lambda: all_judged(node), seconds=120)
        wait_until(lambda: len(archive.received) == 5 and len(trial.received) == 4)
    assert sent_to(archive) == {uids["ALPHA"]}
    assert sent_to(trial) == {uids["BETA"]}
    assert {name: found(node, uid).rule for name, uid in uids.items()} == {
        "ALPHA": "rules.clinical",
        "BETA": "rules.research",
        "GAMMA": "rules.watched",
        "DELTA": "rules.left_out",
        "EPSILON": "rules.tried",
    }
    assert {found(node, uids[name]).state for name in ("DELTA", "EPSILON")} == {StudyState.INELIGIBLE}
    with node.sessions() as session:
        kept_back = deliveries.of_study(session, uids["GAMMA"])
        jobs = {event.study_instance_uid: event.detail for event in audit.recent(session, EventKind.JOB_SUBMITTED, 9)}
        told = {event.study_instance_uid: event.detail for event in audit.recent(session, EventKind.JOB_SUCCEEDED, 9)}
    assert {(one.destination, one.state) for one in kept_back} == {
        ("archive", DeliveryState.WITHHELD),
        ("trial", DeliveryState.WITHHELD),
        ("watched", DeliveryState.WITHHELD),
    }
    assert all(node.store.resolve(one.path).is_file() for one in kept_back)
    assert {name: (jobs[uids[name]]["images"], jobs[uids[name]]["priority"]) for name in ("ALPHA", "BETA")} == {
        "ALPHA": (4, "urgent"),
        "BETA": (4, "backfill"),
    }
    assert told[uids["BETA"]]["would_send"] == {"planned": ["segmentation", "measurement_report"]}
    assert "would_send" not in told[uids["ALPHA"]]


def found(node: Node, uid: str) -> Study:
    with node.sessions() as session:
        study = studies.get(session, uid)
    assert study is not None
    return study
