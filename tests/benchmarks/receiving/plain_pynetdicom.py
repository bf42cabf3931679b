"""A Storage SCP as pynetdicom's documentation shows it: `python plain_pynetdicom.py DIRECTORY`; prints its port."""

import sys
from pathlib import Path

from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.events import Event


def main() -> None:
    """Serve until killed."""
    directory = Path(sys.argv[1])

    def keep(event: Event) -> int:
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        dataset.save_as(directory / f"{dataset.SOPInstanceUID}.dcm", enforce_file_format=True)
        return 0x0000

    ae = AE(ae_title="GLAMNODE")
    ae.maximum_associations = 100
    ae.supported_contexts = AllStoragePresentationContexts
    ae.add_supported_context("1.2.840.10008.1.1")
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)])
    assert server is not None
    assert server.socket is not None
    print(server.socket.getsockname()[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
