"""Helper processes that serve associations for the receiver, as Python runs one thread at a time in each process.

The receiver listens, admits peers and counts associations. It may pass an accepted association with its socket to a
helper. Its limits include the associations of all helpers, and it can cut a connection that a helper serves.
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
    """The order to end every association after its current message."""


Order = Settings | Agreed | Finish
"""Orders to a helper. Settings come first, and again after every reload. An association comes with two descriptors: its
socket, and a pipe for its last PDU, which the helper closes when the association is over."""


class HelperGone(Exception):
    """The helper process has exited or cannot be reached."""


class Helper:
    """A helper process and the channel to it."""

    def __init__(self, channel: socket.socket, process_id: int) -> None:
        self._channel = channel
        self._process_id = process_id

    def tell(self, order: Order, *descriptors: int) -> None:
        """Send an order and file descriptors. Raises HelperGone."""
        try:
            socket.send_fds(self._channel, [pickle.dumps(order)], descriptors)
        except OSError as error:
            raise HelperGone(f"process {self._process_id}: {error.strerror}") from error

    def converse(self, connection: socket.socket, agreed: Agreed) -> bytes:
        """Have the helper serve an association; return the last PDU for the peer, empty if the helper exits meanwhile.

        Raises:
            HelperGone: The helper did not take the association.
        """
        over, tell_over = os.pipe()
        with open(over, "rb") as words:  # noqa: PTH123 - a descriptor
            try:
                self.tell(agreed, connection.fileno(), tell_over)
            finally:
                os.close(tell_over)
            return words.read()

    def await_settings(self) -> None:
        """Wait until the helper has applied the settings that were sent. Raises HelperGone."""
        try:
            self._channel.recv(1)
        except OSError as error:
            raise HelperGone(f"process {self._process_id}: {error.strerror}") from error

    def see_it_end(self) -> None:
        """Wait until the process exits."""
        os.waitpid(self._process_id, 0)

    def close(self) -> None:
        """Close the channel; the helper exits when no process holds this end of it any more."""
        self._channel.close()


class Helpers:
    """All helpers of a receiver, possibly none."""

    def __init__(self, helpers: Sequence[Helper] = ()) -> None:
        self._lock = threading.Lock()
        self._busy: dict[Helper | None, int] = {None: 0, **dict.fromkeys(helpers, 0)}

    @property
    def _helpers(self) -> list[Helper]:
        return [helper for helper in self._busy if helper is not None]

    @contextmanager
    def least_busy(self, here: bool) -> Iterator[Helper | None]:
        """Provide the process with the fewest associations and count one more for it meanwhile.

        Args:
            here: Whether only this process can serve the association.

        Yields:
            The helper, or None for this process.
        """
        with self._lock:
            chosen = None if here else min(self._busy, key=lambda one: self._busy[one])
            self._busy[chosen] += 1
        try:
            yield chosen
        finally:
            with self._lock:
                self._busy[chosen] -= 1

    def tell(self, order: Settings | Finish) -> None:
        """Send an order to every helper that still runs."""
        self._each(lambda helper: helper.tell(order))

    def follow(self, settings: Settings) -> None:
        """Send settings to every helper that still runs, and wait until they are applied."""
        self.tell(settings)
        self._each(Helper.await_settings)

    def _each(self, do: Callable[[Helper], object]) -> None:
        for helper in self._helpers:
            try:
                do(helper)
            except HelperGone as error:
                log.error("helper_gone", failure=str(error))

    def watch(self, on_gone: Callable[[], object]) -> None:
        """Call `on_gone` in a thread whenever a helper exits from now on."""

        def wait(helper: Helper) -> None:
            helper.see_it_end()
            on_gone()

        for helper in self._helpers:
            threading.Thread(target=wait, args=(helper,), name="helper", daemon=True).start()
