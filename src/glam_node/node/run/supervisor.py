"""Supervision of child processes: start, restart, reload and stop; children end with the supervisor."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass

import structlog

from glam_node.node.errors import PermanentError
from glam_node.node.run.forked import ForkedProcess
from glam_node.node.run.process_lifecycle import EXIT_PERMANENT, PARENT, READY_FD, RELOAD_SIGNAL, adopts_orphans

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
    command: Sequence[str]
    environment: Mapping[str, str]
    grace_s: float = GRACE_S
    """Seconds from SIGTERM to SIGKILL."""
    reports_ready: bool = True
    """Whether the program reports that it is ready, and reads settings; otherwise it counts as ready when it runs."""


def module(name: str, *arguments: str) -> tuple[str, ...]:
    """Return the command `python -m glam_node.node.run.NAME`."""
    return (sys.executable, "-m", f"glam_node.node.run.{name}", *arguments)


class Child:
    """A child process, started again whenever it exits."""

    def __init__(self, program: Program) -> None:
        self.name = program.name
        self.environment = dict(program.environment)
        """The environment of the next start."""
        self.word: str | None = None
        """The message with which the child became ready; None while the child is not ready."""
        self.refused: str | None = ""
        """The reason why the child refused the latest settings; empty if it accepted them, None until it answers."""
        self._program = program
        self._was_ready = self._reload_due = self._is_retired = False
        self._pause_s = FIRST_PAUSE_S
        self._start_at = 0.0
        self._start()

    def _start(self) -> None:
        self._ready_fd, write_fd = os.pipe()
        os.set_blocking(self._ready_fd, False)
        self._ended = False
        self._process = self._launch(write_fd)
        os.close(write_fd)
        self._unread = b""
        self.word = None if self._program.reports_ready else ""
        self._started_at = time.monotonic()

    def _launch(self, ready_fd: int) -> subprocess.Popen[bytes] | ForkedProcess:
        return subprocess.Popen(
            self._program.command,
            env={**self.environment, READY_FD: str(ready_fd), PARENT: str(os.getpid())},
            stdin=subprocess.DEVNULL,
            pass_fds=(ready_fd,),
            start_new_session=True,
        )

    @property
    def has_settings(self) -> bool:
        """Whether the child reads settings."""
        return self._program.reports_ready

    @property
    def pid(self) -> int:
        """The process ID of the child since its latest start."""
        return self._process.pid

    def look(self) -> None:
        """Read the messages of the child, and restart it, after a pause, if it has exited.

        Raises:
            PermanentError: The child was never ready and exited with `EXIT_PERMANENT`: a restart would not help.
        """
        self._read_lines()
        if not self._ended and self._process.poll() is not None:
            self._handle_exit()
        if self._ended and not self._is_retired and time.monotonic() >= self._start_at:
            self._start()

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
        """Interpret a line: the first reports that the child is ready, each later one answers a request to reload."""
        if self.word is not None:
            self.refused = json.loads(line)
            return
        self.word = line.strip()
        self._was_ready = True
        if self._reload_due:
            self.ask_to_reload()
        elif self.refused is None:
            self.refused = ""  # the child exited after the request, and started with the new settings

    def _handle_exit(self) -> None:
        os.close(self._ready_fd)
        self.word, self._ended = None, True
        exit_code = self._process.returncode
        if exit_code == EXIT_PERMANENT and not self._was_ready:
            raise PermanentError(f"The {self.name} cannot start; its own message is above.")
        lived_s = time.monotonic() - self._started_at
        self._pause_s = FIRST_PAUSE_S if lived_s > GOOD_LIFE_S else min(self._pause_s * 2, LONGEST_PAUSE_S)
        self._start_at = time.monotonic() + self._pause_s
        if not self._is_retired:
            log.warning("process_ended", name=self.name, exit_code=exit_code, again_in_s=self._pause_s)

    def ask_to_reload(self) -> None:
        """Send SIGHUP, so that the child reads its settings again; a child that is starting gets it when ready."""
        self.refused = None if self._program.reports_ready else ""
        self._reload_due = self._program.reports_ready and self.word is None
        if self._program.reports_ready and self.word is not None and not self._ended:
            self._process.send_signal(RELOAD_SIGNAL)

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
        if not self._ended:
            self._process.terminate()

    def wait_for_exit(self) -> None:
        """Wait until the child exits, and kill it when its grace period is over."""
        if self._ended:
            return
        try:
            self._process.wait(self._program.grace_s)
        except subprocess.TimeoutExpired:
            log.warning("process_killed", name=self.name, after_s=self._program.grace_s)
            self._process.kill()
            self._process.wait()
        os.close(self._ready_fd)
        self._ended = True


class ForkedChild(Child):
    """A child process that was forked, and is forked again whenever it exits.

    Args:
        name: The name of the process.
        run: The function that it runs; see `ForkedProcess`.
        on_exit: Called in the parent when the process has exited.
    """

    def __init__(self, name: str, run: Callable[[], object], on_exit: Callable[[], object]) -> None:
        self._run, self._on_exit = run, on_exit
        super().__init__(Program(name, (), {}))

    def _launch(self, ready_fd: int) -> ForkedProcess:
        def run() -> None:
            self.close_pipe()
            os.environ[READY_FD] = str(ready_fd)
            self._run()

        return ForkedProcess(run)

    def _handle_exit(self) -> None:
        self._on_exit()
        super()._handle_exit()


def attend(children: Iterable[Child]) -> None:
    """Read messages of each child, restart those that exited, and reap orphans if this process adopts them.

    Raises:
        PermanentError: As `Child.look` does.
    """
    ours = list(children)
    for child in ours:
        child.look()
    if adopts_orphans():
        _reap_orphans({child.pid for child in ours})


def _reap_orphans(ours: Set[int]) -> None:
    """Reap orphaned processes, but not our own children: `Child.look` needs their exit codes."""
    with suppress(ChildProcessError):
        while True:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None or ended.si_pid in ours:
                return
            os.waitpid(ended.si_pid, 0)


def stop_together(children: Iterable[Child]) -> None:
    """Ask all children to stop at the same time, and wait until they have exited."""
    together = list(children)
    for child in together:
        child.ask_to_stop()
    for child in together:
        child.wait_for_exit()
