"""A real Orthanc on free ports, used as an independent archive."""

import base64
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

BASIC = "Basic " + base64.b64encode(b"node:secret of the archive").decode()
"""The Authorization header of the node at an Orthanc that requires a password."""


@dataclass
class Orthanc:
    """One Orthanc, which keeps its storage over `stop` and `start`."""

    directory: Path
    dicom_port: int
    http_port: int
    ae_title: str = "ORTHANC"
    plugins: tuple[Path, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)
    """Configuration that is added to that of all tests."""
    authorization: str = ""
    """Authorization header for the REST interface, if it requires one."""
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start Orthanc, and return when it listens on both ports."""
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
            # Debian's Orthanc is older than label maps.
            "UnknownSopClassAccepted": True,
            "Plugins": [str(plugin) for plugin in self.plugins],
            # The viewer reads the hanging of images from the data sets.
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
        """Stop Orthanc, and wait until it has exited."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=30)
            self._process = None

    def kill(self) -> None:
        """Kill Orthanc at once, if its storage is not needed any more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=30)
            self._process = None

    def get(self, path: str) -> Any:
        """Return the JSON answer of the REST interface."""
        return json.loads(self.get_bytes(path))

    def get_bytes(self, path: str) -> bytes:
        """Return the raw answer of the REST interface."""
        headers = {"Authorization": self.authorization} if self.authorization else {}
        asked = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", headers=headers)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            body: bytes = answer.read()
            return body

    def post(self, path: str, body: bytes, method: str = "POST") -> Any:
        """Send a body to the REST interface, and return its JSON answer."""
        headers = {"Authorization": self.authorization} if self.authorization else {}
        url = f"http://127.0.0.1:{self.http_port}{path}"
        asked = urllib.request.Request(url, data=body, headers=headers, method=method)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return json.loads(answer.read() or b"{}")

    def put(self, path: str, value: Any) -> None:
        """Set a value by the REST interface."""
        self.post(path, json.dumps(value).encode(), "PUT")

    def instances(self, modality: str) -> list[str]:
        """Return Orthanc's identifiers of all instances of one modality."""
        series = [entry for entry in self.get("/series?expand") if entry["MainDicomTags"]["Modality"] == modality]
        return [identifier for entry in series for identifier in entry["Instances"]]

    def fetch(self, modality: str, directory: Path) -> list[Path]:
        """Write all instances of one modality as files to `directory`."""
        directory.mkdir(parents=True, exist_ok=True)
        files = []
        for identifier in self.instances(modality):
            files.append(directory / f"{identifier}.dcm")
            files[-1].write_bytes(self.get_bytes(f"/instances/{identifier}/file"))
        return files

    def wait_for(self, counts: dict[str, int], seconds: float) -> None:
        """Wait until at least this number of instances of each modality is stored."""

        def have() -> dict[str, int]:
            return {modality: len(self.instances(modality)) for modality in counts}

        wait_until(lambda: all(have()[modality] >= wanted for modality, wanted in counts.items()), seconds, have)


@contextmanager
def running_orthanc(directory: Path, plugins: tuple[Path, ...] = ()) -> Iterator[Orthanc]:
    """Run an Orthanc with these plug-ins until the context ends."""
    directory.mkdir(parents=True, exist_ok=True)
    orthanc = Orthanc(directory, free_port(), free_port(), plugins=plugins)
    orthanc.start()
    try:
        yield orthanc
    finally:
        orthanc.kill()
