"""A real Storage SCP that keeps the objects it receives and gives the answers that a test sets."""

import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import cast

from pydicom import Dataset, dcmread
from pydicom.uid import JPEGLosslessSV1
from pynetdicom import AE, StoragePresentationContexts, build_context, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import ThreadedAssociationServer

from tests.certificates import Signed

VERIFICATION = "1.2.840.10008.1.1"
DEFAULT_SYNTAXES = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2", JPEGLosslessSV1]


@dataclass(frozen=True, slots=True)
class Received:
    """One received C-STORE request."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae_title: str
    association: int
    encoded: bytes
    """The data set without preamble and file meta information."""
    file: bytes

    def dataset(self) -> Dataset:
        """The decoded data set."""
        return dcmread(BytesIO(self.file))


@dataclass
class Archive:
    """An archive that records every C-STORE request and answers `statuses` in turn, then success."""

    ae_title: str = "ARCHIVE"
    port: int = 0
    contexts: Sequence[PresentationContext] = ()
    calling_ae_titles: list[str] = field(default_factory=list)
    maximum_associations: int = 10
    received: list[Received] = field(default_factory=list)
    statuses: list[int | Dataset] = field(default_factory=list)
    """Statuses, or data sets with a status and an Error Comment."""
    abort_after: int | None = None
    abort_on: frozenset[str] = frozenset()
    """SOP classes for which it aborts the association."""
    an_association: int | None = None
    """Number of objects that it accepts on one association; it aborts at the next one."""
    delay_s: float = 0.0
    patience_s: float | None = 60.0
    """Seconds without data after which it closes an association; None for no limit."""
    _server: ThreadedAssociationServer | None = None

    def start(self) -> None:
        """Listen on a free port, or after `stop` on the same port again."""
        ae = AE(ae_title=self.ae_title)
        ae.maximum_associations = self.maximum_associations
        ae.network_timeout = self.patience_s
        ae.require_called_aet = True
        ae.require_calling_aet = self.calling_ae_titles
        ae.supported_contexts = list(self.contexts) or default_contexts()
        server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._stored)])
        assert server is not None
        self._server = server
        self.port = int(server.server_address[1])

    def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def forget(self) -> None:
        """Forget all requests and settings."""
        self.received.clear()
        self.statuses.clear()
        self.abort_after = self.an_association = None
        self.abort_on = frozenset()
        self.delay_s = 0.0

    def uids(self) -> list[str]:
        """SOP Instance UIDs in order of arrival."""
        return [received.sop_instance_uid for received in self.received]

    def _stored(self, event: Event) -> int | Dataset:
        time.sleep(self.delay_s)
        request = cast(C_STORE, event.request)
        if self._aborts(event, str(request.AffectedSOPClassUID)):
            event.assoc.abort()
            return 0xC000
        self.received.append(
            Received(
                str(request.AffectedSOPClassUID),
                str(request.AffectedSOPInstanceUID),
                event.context.transfer_syntax,
                event.assoc.requestor.ae_title,
                id(event.assoc),
                event.encoded_dataset(include_meta=False),
                event.encoded_dataset(),
            )
        )
        return self.statuses.pop(0) if self.statuses else 0x0000

    def _aborts(self, event: Event, sop_class_uid: str) -> bool:
        taken = sum(received.association == id(event.assoc) for received in self.received)
        return (
            (self.abort_after is not None and len(self.received) >= self.abort_after)
            or sop_class_uid in self.abort_on
            or (self.an_association is not None and taken >= self.an_association)
        )


def warning(status: int, comment: str) -> Dataset:
    """Return a status with an Error Comment."""
    answer = Dataset()
    answer.Status = status
    answer.ErrorComment = comment
    return answer


def default_contexts() -> list[PresentationContext]:
    """Return contexts for Verification and the common Storage classes, in uncompressed Little Endian and one JPEG."""
    storage = [build_context(str(context.abstract_syntax), DEFAULT_SYNTAXES) for context in StoragePresentationContexts]
    return [build_context(VERIFICATION), *storage]


@contextmanager
def listening(archive: Archive) -> Iterator[Archive]:
    """Run the archive until the context ends."""
    archive.start()
    try:
        yield archive
    finally:
        archive.stop()


@contextmanager
def pynetdicom_archive(
    theirs: Signed, asked: ssl.VerifyMode = ssl.CERT_REQUIRED, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> Iterator[int]:
    """Yield the port of an archive that accepts one version of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(theirs.certificate, theirs.key)
    context.load_verify_locations(theirs.ca)
    context.verify_mode = asked
    context.minimum_version = context.maximum_version = version
    ae = AE("ARCHIVE")
    ae.supported_contexts = default_contexts()
    server = ae.start_server(
        ("127.0.0.1", 0), block=False, ssl_context=context, evt_handlers=[(evt.EVT_C_STORE, lambda _: 0x0000)]
    )
    assert server is not None
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
