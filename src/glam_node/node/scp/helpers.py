"""Processes beside the receiver's own that serve associations: of one process Python runs one thread at a time.

The receiver listens, admits and counts; what it has accepted it may hand on, with the socket. It stays in charge: its
limits are those of all, and it may cut what others serve.
"""

import os
import pickle
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from glam_node.node.scp.negotiation import Agreed
from glam_node.settings.schema import Settings

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Finish:
    """What is half received comes to its end, and nothing more begins."""


Order = Settings | Agreed | Finish
"""What helpers are told; settings come first, and again whenever they are read anew. With an association comes its
socket, and the pipe that is closed when it is over."""


class HelperGone(Exception):
    """Its process has ended, or cannot be reached."""


class Helper:
    """One process, at the other end of `channel`."""

    def __init__(self, channel: socket.socket, process_id: int) -> None:
        self._channel = channel
        self._process_id = process_id

    def tell(self, order: Order, *descriptors: int) -> None:
        """It will do so. Raises HelperGone."""
        try:
            socket.send_fds(self._channel, [pickle.dumps(order)], descriptors)
        except OSError as error:
            raise HelperGone(f"process {self._process_id}: {error.strerror}") from error

    def converse(self, connection: socket.socket, agreed: Agreed) -> bytes:
        """What to say when the association is over; nothing when the process ended before. Raises HelperGone."""
        over, tell_over = os.pipe()
        with open(over, "rb") as words:  # noqa: PTH123 - a descriptor
            try:
                self.tell(agreed, connection.fileno(), tell_over)
            finally:
                os.close(tell_over)
            return words.read()

    def await_settings(self) -> None:
        """Those that it was told are in force. Raises HelperGone."""
        try:
            self._channel.recv(1)
        except OSError as error:
            raise HelperGone(f"process {self._process_id}: {error.strerror}") from error

    def see_it_end(self) -> None:
        """Its process has ended when this returns."""
        os.waitpid(self._process_id, 0)

    def close(self) -> None:
        """It ends once its associations have."""
        self._channel.close()


class Helpers:
    """All of a receiver; there may be none."""

    def __init__(self, helpers: Sequence[Helper] = ()) -> None:
        self._lock = threading.Lock()
        self._busy: dict[Helper | None, int] = {None: 0, **dict.fromkeys(helpers, 0)}

    @property
    def _helpers(self) -> list[Helper]:
        return [helper for helper in self._busy if helper is not None]

    @contextmanager
    def least_busy(self, here: bool) -> Iterator[Helper | None]:
        """Inside, one association more is counted for whoever has the fewest; None is this process, `here` or not."""
        with self._lock:
            chosen = None if here else min(self._busy, key=lambda one: self._busy[one])
            self._busy[chosen] += 1
        try:
            yield chosen
        finally:
            with self._lock:
                self._busy[chosen] -= 1

    def tell(self, order: Settings | Finish) -> None:
        """All that are there will do so."""
        self._each(lambda helper: helper.tell(order))

    def follow(self, settings: Settings) -> None:
        """All that are there obey `settings` when this returns."""
        self.tell(settings)
        self._each(Helper.await_settings)

    def _each(self, do: Callable[[Helper], object]) -> None:
        for helper in self._helpers:
            try:
                do(helper)
            except HelperGone as error:
                log.error("helper_gone", failure=str(error))

    def watch(self, on_gone: Callable[[], object]) -> None:
        """From here on `on_gone` is called when one of them ends."""

        def wait(helper: Helper) -> None:
            helper.see_it_end()
            on_gone()

        for helper in self._helpers:
            threading.Thread(target=wait, args=(helper,), name="helper", daemon=True).start()
