"""One round of `glam-node serve` of any version: studies are sent, analysed and delivered as at a site."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from glam_node.inference.phantom import make_exam
from tests.ports import free_port
from tests.waiting import wait_until

PROCESSES = ("receiver", "dispatcher", "worker", "sender")
OTHERS = "others"
LIMIT_S = 600.0
IDLE_S = 5.0
SETTINGS = """
[node]
ae_title = "GLAMNODE"
host = "127.0.0.1"
port = {port}
[peers.modality]
ae_title = "MODALITY"
[destinations.archive]
ae_title = "ARCHIVE"
host = "127.0.0.1"
port = {archive_port}
[assembly]
settle_time = 0.5
[storage]
root = "{root}"
"""


@dataclass(frozen=True, slots=True)
class Spent:
    """Cost of the studies of one round."""

    seconds: float
    cpu: Mapping[str, float]
    """Processor time in s by process of the node."""
    idle: Mapping[str, float]
    """Share of a core that each process uses while nothing happens."""

    def of_studies(self, process: str) -> float:
        """Return the processor time that a process spent because of the studies."""
        return max(0.0, self.cpu[process] - self.idle[process] * self.seconds)


def stored_exams(folder: Path, count: int) -> list[Path]:
    """Write phantom exams, each to a folder of its own, and return the folders."""
    exams = [folder / f"exam-{seed}" for seed in range(count)]
    for seed, exam in enumerate(exams):
        exam.mkdir()
        for number, view in enumerate(make_exam(seed)):
            view.dataset.save_as(exam / f"{number}.dcm", enforce_file_format=True)
    return exams


def round_of(version: Path, folder: Path, exams: list[Path]) -> Spent:
    """Analyse the exams with a version of glam-node in a new folder."""
    port, archive_port = free_port(), free_port()
    folder.mkdir()
    (folder / "archive").mkdir()
    (folder / "node.toml").write_text(
        SETTINGS.format(port=port, archive_port=archive_port, root=folder / "storage"), encoding="utf-8"
    )
    with archive(archive_port, folder / "archive"), serving(version, folder) as node:
        wait_until(lambda: sent(port, exams[0]), LIMIT_S)
        wait_until(lambda: delivered(folder) == 1, LIMIT_S)
        before, started = cpu_of(node), time.monotonic()
        time.sleep(IDLE_S)
        idle = {name: (seconds - before[name]) / IDLE_S for name, seconds in cpu_of(node).items()}
        before, started = cpu_of(node), time.monotonic()
        for exam in exams[1:]:
            assert sent(port, exam)
        wait_until(lambda: delivered(folder) == len(exams), LIMIT_S)
        after, took = cpu_of(node), time.monotonic() - started
        spent = Spent(took, {name: after[name] - before[name] for name in after}, idle)
    shutil.rmtree(folder)
    return spent


@contextmanager
def archive(port: int, folder: Path) -> Iterator[None]:
    """Run an archive that accepts everything."""
    command = ["storescp", "+B", "+xa", "-aet", "ARCHIVE", "--fork", "-od", str(folder), str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def serving(version: Path, folder: Path) -> Iterator[psutil.Process]:
    """Run `glam-node serve` of a version."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GLAM_NODE")}
    environment = clean | {"GLAM_NODE_SETTINGS": str(folder / "node.toml"), "PYTHONPATH": str(version / "src")}
    with (folder / "log").open("w") as log:
        command = [sys.executable, "-m", "glam_node", "serve"]
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(60)


def sent(port: int, exam: Path) -> bool:
    """Send the files of an exam, and return whether all were accepted."""
    command = ["dcmsend", "-aec", "GLAMNODE", "-aet", "MODALITY", "127.0.0.1", str(port), "+sd", str(exam)]
    return subprocess.run(command, capture_output=True, timeout=LIMIT_S, check=False).returncode == 0


def delivered(folder: Path) -> int:
    """Return the number of analysed studies, or 0 if a result waits for its delivery."""
    with closing(sqlite3.connect(f"file:{folder / 'storage' / 'glam-node.sqlite'}?mode=ro", uri=True)) as database:
        ((waiting,),) = database.execute("SELECT count(*) FROM deliveries WHERE state NOT IN ('STORED', 'STANDBY')")
        ((succeeded,),) = database.execute("SELECT count(*) FROM jobs WHERE state = 'SUCCEEDED'")
    return 0 if waiting else int(succeeded)


def cpu_of(node: psutil.Process) -> dict[str, float]:
    """Return the processor time of the processes of a node so far, with that of processes that they have waited for."""
    seconds = dict.fromkeys((*PROCESSES, OTHERS), 0.0)
    for process in node.children(recursive=True):
        words = f"{process.name()} {' '.join(process.cmdline())}"
        name = next((one for one in PROCESSES if f"glam-{one}" in words or f"run.{one}" in words), OTHERS)
        times = process.cpu_times()
        seconds[name] += times.user + times.system
    return seconds
