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

from glam_node.node.errors import NodeError
from glam_node.node.scp import pdu
from glam_node.node.scp.association import Association
from glam_node.node.scp.association_context import AssociationSettings
from glam_node.node.scp.negotiation import AcceptedAssociation
from glam_node.node.scp.services import Services
from glam_node.settings.schema import Settings

log = structlog.get_logger(__name__)

LONGEST_ORDER = 1_048_576
"""Maximum length in bytes of an encoded order."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The order to end every association after its current message."""


Order = Settings | AcceptedAssociation | Finish
"""Orders to a helper. Settings are sent first, and again after every reload. An association is sent with two file
descriptors: its socket, and a pipe for the last PDU. The helper closes the pipe when the association is over."""

Prepare = Callable[[Settings], tuple[Services, AssociationSettings]]
"""Function that opens the services of a helper with its first settings, and again after every reload."""


class HelperGone(Exception):
    """The helper process has exited or cannot be reached."""


class Helper:
    """A helper process and the channel to it."""

    def __init__(self, channel: socket.socket, process_id: int) -> None:
        self._channel = channel
        self._process_id = process_id

    def send(self, order: Order, *descriptors: int) -> None:
        """Send an order and file descriptors. Raises HelperGone."""
        try:
            socket.send_fds(self._channel, [pickle.dumps(order)], descriptors)
        except OSError as error:
            raise HelperGone(f"process {self._process_id}: {error.strerror}") from error

    def serve(self, connection: socket.socket, accepted: AcceptedAssociation) -> bytes:
        """Have the helper serve an association; return the last PDU for the peer, empty if the helper exits meanwhile.

        Raises:
            HelperGone: The helper cannot be reached, so it does not serve the association.
        """
        over, over_for_helper = os.pipe()
        with open(over, "rb") as words:  # noqa: PTH123 - a descriptor
            try:
                self.send(accepted, connection.fileno(), over_for_helper)
            finally:
                os.close(over_for_helper)
            return words.read()

    def wait_for_settings(self) -> None:
        """Wait until the helper has applied the settings that were sent. Raises HelperGone."""
        try:
            self._channel.recv(1)
        except OSError as error:
            raise HelperGone(f"process {self._process_id}: {error.strerror}") from error

    def wait_for_exit(self) -> None:
        """Wait until the process exits."""
        os.waitpid(self._process_id, 0)

    def close(self) -> None:
        """Close the channel; the helper exits once no process has this end of the channel open."""
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
    def least_busy(self, only_here: bool) -> Iterator[Helper | None]:
        """Provide the process with the fewest associations, and count one more association for it during the block.

        Args:
            only_here: Whether only this process can serve the association.

        Yields:
            The helper, or None for this process.
        """
        with self._lock:
            chosen = None if only_here else min(self._busy, key=lambda one: self._busy[one])
            self._busy[chosen] += 1
        try:
            yield chosen
        finally:
            with self._lock:
                self._busy[chosen] -= 1

    def send(self, order: Settings | Finish) -> None:
        """Send an order to every helper that still runs."""
        self._each(lambda helper: helper.send(order))

    def follow(self, settings: Settings) -> None:
        """Send settings to every helper that still runs, and wait until they are applied."""
        self.send(settings)
        self._each(Helper.wait_for_settings)

    def _each(self, do: Callable[[Helper], object]) -> None:
        for helper in self._helpers:
            try:
                do(helper)
            except HelperGone as error:
                log.error("helper_gone", failure=str(error))

    def watch(self, on_gone: Callable[[], object]) -> None:
        """Call `on_gone` in a thread whenever a helper exits from now on."""

        def wait(helper: Helper) -> None:
            helper.wait_for_exit()
            on_gone()

        for helper in self._helpers:
            threading.Thread(target=wait, args=(helper,), name="helper", daemon=True).start()


class HelperLoop:
    """The helper process itself: its channel to the receiver and the associations that it serves."""

    def __init__(self, channel: socket.socket, prepare: Prepare) -> None:
        self._channel = channel
        self._prepare = prepare
        self._settings = Settings()
        self._prepared: tuple[Services, AssociationSettings] | None = None
        self._lock = threading.Lock()
        self._serving: dict[Association, socket.socket] = {}
        self._finishing = False

    def run(self) -> None:
        """Carry out orders until the channel is closed; acknowledge each settings update with one byte."""
        while True:
            message, descriptors, _, _ = socket.recv_fds(self._channel, LONGEST_ORDER, 2)
            if not message:
                return
            order: Order = pickle.loads(message)  # noqa: S301 - from our own parent, over a socket without a name
            if isinstance(order, AcceptedAssociation):
                threading.Thread(target=self._serve, args=(order, *descriptors), daemon=True).start()
            elif isinstance(order, Finish):
                self._finish()
            else:
                self._follow(order)

    def _follow(self, settings: Settings) -> None:
        """Apply new settings; if that fails, the helper tries again when it gets the next association."""
        with self._lock:
            self._settings, self._prepared = settings, None
        try:
            self._services()
        except NodeError as error:
            log.error("helper_not_prepared", failure=str(error))
        self._channel.send(b"1")

    def _services(self) -> tuple[Services, AssociationSettings]:
        with self._lock:
            if self._prepared is None:
                self._prepared = self._prepare(self._settings)
            return self._prepared

    def _serve(self, accepted: AcceptedAssociation, connection_fd: int, over_fd: int) -> None:
        last_pdu = pdu.abort(pdu.BY_PROVIDER, pdu.NOT_SPECIFIED)
        with socket.socket(fileno=connection_fd) as connection, open(over_fd, "wb") as over:
            try:
                last_pdu = self._serve_accepted(connection, accepted)
            except (NodeError, OSError) as error:
                log.error("association_failed", calling_ae_title=accepted.calling_ae_title, failure=str(error))
            except Exception:
                log.exception("association_failed", calling_ae_title=accepted.calling_ae_title)
            over.write(last_pdu)

    def _serve_accepted(self, connection: socket.socket, accepted: AcceptedAssociation) -> bytes:
        services, settings = self._services()
        stream = pdu.PDUStream(connection, settings.node.network_timeout, settings.node.maximum_pdu_length)
        association = services.association(stream, accepted, settings)
        with self._lock:
            self._serving[association] = connection
            if self._finishing:
                _finish(association, connection)
        try:
            return association.serve()
        finally:
            with self._lock:
                del self._serving[association]

    def _finish(self) -> None:
        with self._lock:
            self._finishing = True
            for association, connection in self._serving.items():
                _finish(association, connection)


def _finish(association: Association, connection: socket.socket) -> None:
    if association.ask_to_stop():
        try:
            connection.shutdown(socket.SHUT_RD)
        except OSError:  # the peer has closed the connection
            return
