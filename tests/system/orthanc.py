"""A real Orthanc on free ports, as the archive that nobody here wrote."""

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.peers import PEERS
from tests.ports import free_port
from tests.waiting import wait_for_answer, wait_until


@dataclass
class Orthanc:
    """One Orthanc; `stop` and `start` again keep its storage."""

    directory: Path
    dicom_port: int
    http_port: int
    ae_title: str = "ORTHANC"
    plugins: tuple[Path, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)
    """Configuration over that of all tests."""
    authorization: str = ""
    """For its REST interface, where that asks for it."""
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Listening on both ports when this returns."""
        configuration = {
            "Name": "glam-node tests",
            "StorageDirectory": str(self.directory / "storage"),
            "IndexDirectory": str(self.directory / "index"),
            "DicomAet": self.ae_title,
            "DicomPort": self.dicom_port,
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomCheckCalledAet": True,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowFind": True,
            # Label maps are younger than Debian's Orthanc.
            "UnknownSopClassAccepted": True,
            "Plugins": [str(plugin) for plugin in self.plugins],
            # The viewer reads what hangs where from the data sets themselves.
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "StudiesMetadata": "Full", "SeriesMetadata": "Full"},
            "StableAge": 1,
            "DicomModalities": {},
            **self.more,
        }
        path = self.directory / "orthanc.json"
        path.write_text(json.dumps(configuration))
        log = self.directory / "orthanc.log"
        with log.open("ab") as file:
            self._process = subprocess.Popen([PEERS["orthanc"].program, path], stdout=file, stderr=file)
        wait_for_answer(lambda: self.get("/system"), urllib.error.URLError, ConnectionError, told=log.read_text)

    def stop(self) -> None:
        """Nothing listens on its ports any more."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=30)
            self._process = None

    def kill(self) -> None:
        """The same at once, for a storage that nobody needs any more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=30)
            self._process = None

    def get(self, path: str) -> Any:
        """The JSON answer of its REST interface."""
        return json.loads(self.get_bytes(path))

    def get_bytes(self, path: str) -> bytes:
        """The raw answer of its REST interface."""
        headers = {"Authorization": self.authorization} if self.authorization else {}
        asked = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", headers=headers)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            body: bytes = answer.read()
            return body

    def instances(self, modality: str) -> list[str]:
        """Orthanc's own identifiers of all instances of one modality."""
        series = [entry for entry in self.get("/series?expand") if entry["MainDicomTags"]["Modality"] == modality]
        return [identifier for entry in series for identifier in entry["Instances"]]

    def fetch(self, modality: str, directory: Path) -> list[Path]:
        """All instances of one modality as files in `directory`."""
        directory.mkdir(parents=True, exist_ok=True)
        files = []
        for identifier in self.instances(modality):
            files.append(directory / f"{identifier}.dcm")
            files[-1].write_bytes(self.get_bytes(f"/instances/{identifier}/file"))
        return files

    def wait_for(self, counts: dict[str, int], seconds: float) -> None:
        """At least so many instances of each modality are there, or the test fails."""

        def have() -> dict[str, int]:
            return {modality: len(self.instances(modality)) for modality in counts}

        wait_until(lambda: all(have()[modality] >= wanted for modality, wanted in counts.items()), seconds, have)


@contextmanager
def running_orthanc(directory: Path, plugins: tuple[Path, ...] = ()) -> Iterator[Orthanc]:
    """A started Orthanc, with these plug-ins, that is stopped at the end."""
    directory.mkdir(parents=True, exist_ok=True)
    orthanc = Orthanc(directory, free_port(), free_port(), plugins=plugins)
    orthanc.start()
    try:
        yield orthanc
    finally:
        orthanc.kill()
