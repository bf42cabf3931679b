"""The main loop of a helper process: serve the associations that the receiver passes on, until the receiver exits."""

import pickle
import socket
import threading
from collections.abc import Callable

import structlog

from glam_node.node.errors import NodeError
from glam_node.node.scp import pdu
from glam_node.node.scp.association import Association
from glam_node.node.scp.helpers import Finish, Order
from glam_node.node.scp.negotiation import Agreed
from glam_node.node.scp.rules import Rules
from glam_node.node.scp.services import Services
from glam_node.settings.schema import Settings

log = structlog.get_logger(__name__)

LONGEST_ORDER = 1_048_576

Prepare = Callable[[Settings], tuple[Services, Rules]]


class Helping:
    """The helper process itself: its channel to the receiver and the associations that it serves."""

    def __init__(self, channel: socket.socket, prepare: Prepare) -> None:
        self._channel = channel
        self._prepare = prepare
        self._settings = Settings()
        self._prepared: tuple[Services, Rules] | None = None
        self._lock = threading.Lock()
        self._serving: dict[Association, socket.socket] = {}
        self._finishing = False

    def run(self) -> None:
        """Obey orders until the channel is closed; acknowledge each settings update with one byte."""
        while True:
            message, descriptors, _, _ = socket.recv_fds(self._channel, LONGEST_ORDER, 2)
            if not message:
                return
            order: Order = pickle.loads(message)  # noqa: S301 - from our own parent, over a socket without a name
            if isinstance(order, Agreed):
                threading.Thread(target=self._serve, args=(order, *descriptors), daemon=True).start()
            elif isinstance(order, Finish):
                self._finish()
            else:
                self._follow(order)

    def _follow(self, settings: Settings) -> None:
        """Apply new settings; if that fails, the next association tries again."""
        with self._lock:
            self._settings, self._prepared = settings, None
        try:
            self._services()
        except NodeError as error:
            log.error("helper_not_prepared", failure=str(error))
        self._channel.send(b"1")

    def _services(self) -> tuple[Services, Rules]:
        with self._lock:
            if self._prepared is None:
                self._prepared = self._prepare(self._settings)
            return self._prepared

    def _serve(self, agreed: Agreed, connection_fd: int, over_fd: int) -> None:
        last_word = pdu.abort(pdu.BY_PROVIDER, pdu.NOT_SPECIFIED)
        with socket.socket(fileno=connection_fd) as connection, open(over_fd, "wb") as over:
            try:
                last_word = self._converse(connection, agreed)
            except (NodeError, OSError) as error:
                log.error("association_failed", calling_ae_title=agreed.calling_ae_title, failure=str(error))
            except Exception:
                log.exception("association_failed", calling_ae_title=agreed.calling_ae_title)
            over.write(last_word)

    def _converse(self, connection: socket.socket, agreed: Agreed) -> bytes:
        services, rules = self._services()
        stream = pdu.PDUStream(connection, rules.settings.network_timeout, rules.settings.maximum_pdu_length)
        association = services.association(stream, agreed, rules)
        with self._lock:
            self._serving[association] = connection
            if self._finishing:
                _finish(association, connection)
        try:
            return association.converse()
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
