"""A broker that forgets all messages or repeats them: messages only wake workers, so nothing depends on them."""

from collections import Counter
from pathlib import Path

import redis

from glam_node.node.bootstrap import Node
from glam_node.node.db import audit, jobs
from glam_node.node.domain.event import EventKind
from tests.torture.announcements import announce_unfinished
from tests.torture.rig import NEEDS, Rig, is_full_length, torture

pytestmark = NEEDS

FLUSHES = 60 if is_full_length() else 4
STUDIES = 100 if is_full_length() else 8


def test_a_broker_that_forgets_everything_again_and_again_loses_no_study(tmp_path: Path) -> None:
    with torture("Redis FLUSHALL", tmp_path) as rig, redis.from_url(rig.redis_url) as client:
        for _ in range(FLUSHES):
            rig.tend(rig.random.uniform(0.1, 2.0))
            rig.tree.note("flushall")
            client.flushall()
        rig.assert_nothing_is_lost()


def test_workers_that_hear_of_every_job_at_the_same_moment_run_it_once(tmp_path: Path) -> None:
    # No process dies here: a worker that gets no CPU time for seconds has not lost its job.
    patient = {"GLAM_NODE__INFERENCE__LEASE_TIME": "60"}
    name = "every message several times, three workers"
    with torture(name, tmp_path, workers=3, modalities=3, environment=patient) as rig:
        announce_everything(rig, kill_workers=False)
        rig.assert_nothing_is_lost()
        with rig.node() as node:
            assert set(starts(node).values()) == {1}


def test_workers_that_are_killed_and_hear_everything_twice_report_every_study_once(tmp_path: Path) -> None:
    with torture("every message several times, workers killed", tmp_path, workers=2, modalities=3) as rig:
        announce_everything(rig, kill_workers=True)
        rig.tend(0)
        rig.assert_nothing_is_lost()


def announce_everything(rig: Rig, *, kill_workers: bool) -> None:
    """Announce all unfinished jobs repeatedly until all studies have jobs."""
    with rig.node() as node:
        while known_jobs(node) < STUDIES:
            rig.tend(rig.random.uniform(0.05, 0.2))
            announced = announce_unfinished(node, rig.redis_url, times=3)
            if kill_workers and announced and rig.random.random() < 0.2:
                rig.tree.kill(rig.random.choice(["worker1", "worker2"]))


def known_jobs(node: Node) -> int:
    """Return the number of jobs in any state."""
    with node.sessions() as session:
        return sum(jobs.counts_by_state(session).values())


def starts(node: Node) -> Counter[str]:
    """Return the number of starts of each study's job."""
    with node.sessions() as session:
        return Counter(event.study_instance_uid for event in audit.recent(session, EventKind.JOB_STARTED, 100_000))
