"""A small archive: a real Storage SCP that keeps what it is sent as files in a folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, build_context, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event
from pynetdicom.transport import ThreadedAssociationServer

from glam_node.node.errors import PermanentError

AE_TITLE = "DEMOARCHIVE"
VERIFICATION = "1.2.840.10008.1.1"
# PS3.4 Table B.2-1
SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700


class Archive:
    """What arrived: one file <SOP Instance UID>.dcm each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        """Where it listens, once it does."""

    def files(self) -> list[Path]:
        """All objects, the oldest first."""
        return sorted(self.folder.glob("*.dcm"), key=lambda path: path.stat().st_mtime_ns)

    def has(self, sop_instance_uid: str) -> bool:
        """Whether the object arrived."""
        return (self.folder / f"{sop_instance_uid}.dcm").is_file()

    def keep(self, event: Event) -> int:
        """The status of one C-STORE; after success the file is whole."""
        sop_instance_uid = cast(C_STORE, event.request).AffectedSOPInstanceUID
        final = self.folder / f"{sop_instance_uid}.dcm"
        part = final.with_suffix(".part")
        try:
            part.write_bytes(event.encoded_dataset())
            part.replace(final)
        except OSError:
            return OUT_OF_RESOURCES
        return SUCCESS


@contextmanager
def listening(folder: Path, calling_ae_title: str) -> Iterator[Archive]:
    """An archive on a free port of this machine, for one sender; closed at the end.

    Raises PermanentError when no port can be had.
    """
    folder.mkdir(parents=True, exist_ok=True)
    archive = Archive(folder)
    ae = AE(ae_title=AE_TITLE)
    ae.require_calling_aet = [calling_ae_title]
    ae.require_called_aet = True
    ae.supported_contexts = [
        build_context(VERIFICATION),
        *(build_context(str(c.abstract_syntax), ALL_TRANSFER_SYNTAXES) for c in AllStoragePresentationContexts),
    ]
    server = _start(ae, archive)
    try:
        yield archive
    finally:
        server.shutdown()


def _start(ae: AE, archive: Archive) -> ThreadedAssociationServer:
    try:
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, archive.keep)])
    except OSError as error:
        raise PermanentError(f"The demo's archive cannot listen on 127.0.0.1: {error.strerror}.") from error
    if server is None:
        raise PermanentError("The demo's archive did not start.")
    archive.port = int(server.server_address[1])
    return server
