"""Recovery: the jobs of dead processes are free at once."""

import multiprocessing
import os
import subprocess
import sys

import pytest
from pydicom.dataset import Dataset

from glam_node.node.db import jobs
from glam_node.node.workflow.operate.recovery import recover, this_process
from tests.unit.workflow.workbench import Workbench


def leased(bench: Workbench, exam: list[Dataset], owner: str) -> None:
    job = bench.submitted(exam[0])
    with bench.sessions.begin() as session:
        assert jobs.claim(session, job.job_id, owner=owner, now=bench.clock(), lease_s=60, maximum_attempts=3)


def recovered(bench: Workbench) -> int:
    with bench.sessions.begin() as session:
        return recover(session, bench.clock())


def name_of_a_dead_process() -> str:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(this_process)


def test_the_job_of_a_dead_process_is_taken_up_at_once(bench: Workbench, exam: list[Dataset]) -> None:
    leased(bench, exam, name_of_a_dead_process())
    assert recovered(bench) == 1
    assert bench.run(bench.job())


def test_a_zombie_process_counts_as_dead(bench: Workbench, exam: list[Dataset]) -> None:
    say_who = "from glam_node.node.workflow.operate.recovery import this_process; print(this_process(), end='')"
    with subprocess.Popen([sys.executable, "-c", say_who], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        leased(bench, exam, process.stdout.read())
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert recovered(bench) == 1


@pytest.mark.parametrize(
    "owner",
    [
        this_process(),
        this_process().replace(":", "x:", 1),
        f"other-host/4026531836:{os.getpid()}:1",
        "somebody",
        "",
        f"{this_process().rpartition(':')[0]}:",
    ],
    ids=["ourselves", "of_another_namespace", "of_another_host", "no_process", "nobody", "without_a_start"],
)
def test_jobs_of_other_processes_are_not_freed(bench: Workbench, exam: list[Dataset], owner: str) -> None:
    leased(bench, exam, owner)
    assert recovered(bench) == 0


def test_a_new_process_with_the_number_of_a_dead_one_is_not_mistaken_for_it(
    bench: Workbench, exam: list[Dataset]
) -> None:
    place_and_number, _, started = this_process().rpartition(":")
    leased(bench, exam, f"{place_and_number}:{int(started) - 1}")
    assert recovered(bench) == 1
