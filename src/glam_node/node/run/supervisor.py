"""Supervision of child processes: start, restart, other settings and stop; children end with the supervisor.

Children are forked. The supervisor imports the modules of all its children once, so that each of them starts, and
starts again, in little time and shares their memory. It has no other threads.
"""

import json
import math
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from types import MappingProxyType

import structlog

from glam_node.node.errors import PermanentError
from glam_node.node.run.forked import ForkedProcess, run_apart
from glam_node.node.run.process_lifecycle import (
    EXIT_PERMANENT,
    PARENT,
    READY_FD,
    RELOAD_SIGNAL,
    SOCKETS,
    adopts_orphans,
    reap_orphans,
)

log = structlog.get_logger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
GOOD_LIFE_S = 30.0
"""Seconds after which a child counts as healthy. A healthy child is restarted soon, others after growing pauses."""
POLL_INTERVAL_S = 0.1
GRACE_S = 12.0
"""Seconds that the slowest process to stop, the receiver, needs to finish its associations."""
WORKER_GRACE_S = 10.0
"""Seconds that a worker has to finish its job; a longer job starts again with the next worker."""


@dataclass(frozen=True, slots=True)
class Program:
    """The program of a child process."""

    name: str
    run: Callable[[], object]
    """The function that the child runs; see `ForkedProcess`."""
    environment: Mapping[str, str]
    grace_s: float = GRACE_S
    """Seconds from SIGTERM to SIGKILL."""
    reports_ready: bool = True
    """Whether the program reports that it is ready, and reads settings; otherwise it counts as ready when it runs."""
    reads_again: bool = False
    """Whether the program reads its settings again on SIGHUP; others are restarted."""
    ends_its_work: bool = False
    """Whether a restart for other settings waits for the work in progress, however long it takes."""
    drains: bool = False
    """Whether the program, after SIGHUP, leaves new work to a successor, and exits after its own."""
    sockets: Sequence[socket.socket] = ()
    """Listening sockets that the program inherits."""


def role_program(role: str, environment: Mapping[str, str], sockets: Sequence[socket.socket] = ()) -> Program:
    """Import the modules of a process of the node, and return its program."""
    return Program(
        role,
        import_module(role_module(role)).main,
        environment,
        WORKER_GRACE_S if role == "worker" else GRACE_S,
        reads_again=role == "receiver",
        ends_its_work=role == "worker",
        drains=role in ("console", "hl7"),
        sockets=sockets,
    )


def role_module(role: str) -> str:
    """Return the name of the module whose function `main` is the program of a process of the node."""
    return "glam_node.node.console.server" if role == "console" else f"glam_node.node.run.{role}"


class Child:
    """A child process, started again whenever it exits.

    Args:
        program: The program of the child.
        own_environment: Variables that are added to the environment of the program at every start.
    """

    def __init__(self, program: Program, own_environment: Mapping[str, str] = MappingProxyType({})) -> None:
        self.name = program.name
        self.environment = program.environment
        """The environment of the next start."""
        self.own_environment = dict(own_environment)
        self.word: str | None = None
        """The message with which the child became ready; None while the child is not ready."""
        self.refused: str | None = ""
        """The reason why the child refused the latest settings; empty if it accepted them, None until it answers."""
        self._program = program
        self._was_ready = self._is_retired = False
        self._kill_at: float | None = None
        """The time at which the child is killed; None unless it was asked to exit, to start with other settings."""
        self._draining: list[ForkedProcess] = []
        self._pause_s = FIRST_PAUSE_S
        self._start_at = 0.0
        self._start()

    def _start(self) -> None:
        self._ready_fd, write_fd = os.pipe()
        os.set_blocking(self._ready_fd, False)
        self._ended = False
        self._kill_at = None
        try:
            self._process = self._launch(write_fd)
        except OSError:
            os.close(self._ready_fd)
            self._ended = True
            raise
        finally:
            os.close(write_fd)
        self._unread = b""
        self.word = None if self._program.reports_ready else ""
        self._started_at = time.monotonic()

    def _launch(self, ready_fd: int) -> ForkedProcess:
        inherited = [one.fileno() for one in self._program.sockets]
        ours = {READY_FD: str(ready_fd), PARENT: str(os.getpid()), SOCKETS: " ".join(map(str, inherited))}
        environment = {**self.environment, **self.own_environment, **ours}
        files = (ready_fd, *inherited)
        name, run = self._program.name, self._program.run
        return ForkedProcess(partial(run_apart, f"glam-{name}", run, environment, files))

    @property
    def pid(self) -> int:
        """The process ID of the child since its latest start."""
        return self._process.pid

    @property
    def pids(self) -> set[int]:
        """The process IDs of the child, and of its predecessors that still finish their work."""
        return {self._process.pid, *(one.pid for one in self._draining)}

    def look(self) -> None:
        """Read the messages of the child, and restart it, after a pause, if it has exited.

        Raises:
            PermanentError: The child was never ready and exited with `EXIT_PERMANENT`: a restart would not help.
        """
        self._read_lines()
        self._draining = [one for one in self._draining if one.poll() is None]
        if not self._ended and self._process.poll() is not None:
            self._handle_exit()
        elif not self._ended and self._kill_at is not None and time.monotonic() > self._kill_at:
            self._kill(self._process)
            self._kill_at = time.monotonic() + self._program.grace_s
        if self._ended and not self._is_retired and time.monotonic() >= self._start_at:
            self._start_again()

    def _start_again(self) -> None:
        try:
            self._start()
        except OSError as error:  # no memory or process ID is left: those that run are not to end for it
            self._start_at = time.monotonic() + self._pause_s
            log.warning("process_not_started", name=self.name, failure=str(error), again_in_s=self._pause_s)

    def _read_lines(self) -> None:
        if self._ended:
            return
        try:
            self._unread += os.read(self._ready_fd, 2**16)
        except BlockingIOError:
            return
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            self._handle_line(line.decode())

    def _handle_line(self, line: str) -> None:
        if self._kill_at is not None:
            return
        said = json.loads(line)
        self.refused = said.get("refused", "")
        if "ready" in said:
            self.word, self._was_ready = said["ready"], True

    def _handle_exit(self) -> None:
        self._read_lines()
        os.close(self._ready_fd)
        self.word, self._ended = None, True
        if self._kill_at is not None:  # asked to exit, to start with other settings
            self._start_at = time.monotonic()
            return
        exit_code = self._process.returncode
        if exit_code == EXIT_PERMANENT and not self._was_ready:
            raise PermanentError(f"The {self.name} cannot start; its own message is above.")
        if self.refused is None:
            self.refused = f"The new process exited with code {exit_code} before it was ready. Its log says why."
        lived_s = time.monotonic() - self._started_at
        self._pause_s = FIRST_PAUSE_S if lived_s > GOOD_LIFE_S else min(self._pause_s * 2, LONGEST_PAUSE_S)
        self._start_at = time.monotonic() + self._pause_s
        if not self._is_retired:
            log.warning("process_ended", name=self.name, exit_code=exit_code, again_in_s=self._pause_s)

    def take_settings(self, environment: Mapping[str, str]) -> None:
        """Have the child use the settings that `environment` names, and report in `refused` whether it does.

        A child that does not read settings again is asked to exit and started again, at once after its exit.
        """
        self.environment = environment
        self.refused = None
        is_ready = self.word is not None
        if is_ready and (self._program.reads_again or self._program.drains):
            self._process.send_signal(RELOAD_SIGNAL)
        if is_ready and self._program.reads_again:
            return
        log.info("process_restarts", name=self.name, cause="settings")
        self.word, self._start_at = None, time.monotonic()
        if is_ready and self._program.drains and not self._ended:
            self._draining.append(self._process)
            os.close(self._ready_fd)
            self._start()
        elif not self._ended:
            self._kill_at = math.inf if self._program.ends_its_work else time.monotonic() + self._program.grace_s
            self._process.terminate()

    @property
    def ends_its_work(self) -> bool:
        """Whether the child ends the work in progress, however long it takes, before it starts with other settings."""
        return self._program.ends_its_work

    def retire(self) -> None:
        """Send SIGHUP to a child that then finishes its work and exits; it is not started again."""
        self._is_retired = True
        if not self._ended:
            self._process.send_signal(RELOAD_SIGNAL)

    @property
    def has_exited(self) -> bool:
        """Whether the child has exited and was not started again."""
        return self._ended

    def close_pipe(self) -> None:
        """Close the pipe from the child in a process that was forked and does not supervise it."""
        if not self._ended and self._ready_fd >= 0:
            os.close(self._ready_fd)
            self._ready_fd = -1

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        for process in self._draining:
            process.terminate()
        if not self._ended:
            self._process.terminate()

    def wait_for_exit(self) -> None:
        """Wait until the child exits, and kill it when its grace period is over."""
        running = self._draining if self._ended else [*self._draining, self._process]
        for process in running:
            try:
                process.wait(self._program.grace_s)
            except subprocess.TimeoutExpired:
                self._kill(process)
                process.wait()
        if not self._ended:
            os.close(self._ready_fd)
        self._ended, self._draining = True, []

    def _kill(self, process: ForkedProcess) -> None:
        log.warning("process_killed", name=self.name, after_s=self._program.grace_s)
        process.kill()


def attend(children: Iterable[Child]) -> None:
    """Read messages of each child, restart those that exited, and reap orphans if this process adopts them.

    Raises:
        PermanentError: As `Child.look` does.
    """
    ours = list(children)
    for child in ours:
        child.look()
    if adopts_orphans():
        reap_orphans(set().union(*(child.pids for child in ours)))


def stop_together(children: Iterable[Child]) -> None:
    """Ask all children to stop at the same time, and wait until they have exited."""
    together = list(children)
    for child in together:
        child.ask_to_stop()
    for child in together:
        child.wait_for_exit()
