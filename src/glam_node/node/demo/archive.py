"""A small archive: a Storage SCP that keeps the objects that it receives as files in a folder."""

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
    """The objects of the archive, each in a file <SOP Instance UID>.dcm."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        """TCP port of the archive; 0 until it listens."""

    def files(self) -> list[Path]:
        """Return the files of all objects, the oldest first."""
        return sorted(self.folder.glob("*.dcm"), key=lambda path: path.stat().st_mtime_ns)

    def has(self, sop_instance_uid: str) -> bool:
        """Return whether the archive has stored the object."""
        return (self.folder / f"{sop_instance_uid}.dcm").is_file()

    def store(self, event: Event) -> int:
        """Store the object of one C-STORE, whole or not at all, and return the status (PS3.4 Table B.2-1)."""
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
def running_archive(folder: Path, calling_ae_title: str) -> Iterator[Archive]:
    """Run an archive on a free port of this machine until the context ends.

    Args:
        folder: The folder for the files; it is created if needed.
        calling_ae_title: The only AE title that may send.

    Raises:
        PermanentError: The archive cannot listen.
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
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, archive.store)])
    except OSError as error:
        raise PermanentError(f"The demo's archive cannot listen on 127.0.0.1: {error.strerror}.") from error
    if server is None:
        raise PermanentError("The demo's archive did not start.")
    archive.port = int(server.server_address[1])
    return server
