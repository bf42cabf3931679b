"""OHIF over an Orthanc in headless Chromium, which returns the pixels that a radiologist would see."""

import http.server
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page, sync_playwright

from tests.peers import PEERS
from tests.system.orthanc import Orthanc

WIDTH, HEIGHT = 1400, 900
# Position of OHIF's only viewport within its frame
VIEWPORT = np.s_[53:892, 290:1358]
# Red and green overlays by hue (OpenCV's 0 to 180) and saturation; the image is grey.
_HUES = {"malignant": ((0, 12), (168, 180)), "benign": ((40, 85),)}
_LEAST_SATURATION = 60
_SECONDS = 90.0
"""The time in which both findings appear on a busy machine."""
_LOOK_EVERY_MS = 250
_LOOKS_ALIKE = 7
"""The number of equal pictures in a row that are final: on a busy machine parts appear seconds apart."""
LEAST_GREY = 12
"""The darkest value of 255 that is not background."""

_CONFIGURATION = """
window.config = {
  extensions: [], modes: [], showStudyList: false, disableConfirmationPrompts: true, maxNumberOfWebWorkers: 2,
  investigationalUseDialog: {option: 'never'}, customizationService: [{'ohif.tours': {$set: []}}],
  showCPUFallbackMessage: false, defaultDataSourceName: 'archive',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'archive',
    configuration: {
      friendlyName: 'archive', name: 'archive', qidoRoot: '/dicom-web', wadoRoot: '/dicom-web', wadoUriRoot: '/wado',
      imageRendering: 'wadors', thumbnailRendering: 'wadors', enableStudyLazyLoad: true, supportsWildcard: true,
      qidoSupportsIncludeField: false, supportsFuzzyMatching: false, singlepart: 'bulkdata,video',
      bulkDataURI: {enabled: true}, omitQuotationForMultipartRequest: true,
    },
  }],
};
"""
_CHROMIUM = (
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Viewer:
    """OHIF at a port of this machine, in one browser."""

    port: int
    page: Page

    def picture(self, study_instance_uid: str, series_instance_uid: str) -> Picture:
        """Return the viewport (Rows x Columns x BGR) once it shows both findings over their image without changes."""
        url = f"http://127.0.0.1:{self.port}/viewer?StudyInstanceUIDs={study_instance_uid}"
        self.page.goto("about:blank")
        self.page.goto(f"{url}&initialSeriesInstanceUID={series_instance_uid}")
        self.page.wait_for_load_state("networkidle")
        deadline, before, alike = time.monotonic() + _SECONDS, np.zeros(0, np.uint8), 0
        while time.monotonic() < deadline:
            picture = self._screenshot()[VIEWPORT]
            alike = alike + 1 if np.array_equal(picture, before) else 1
            if alike >= _LOOKS_ALIKE and all(overlay(picture, name).any() for name in _HUES):
                return picture
            before = picture
            self.page.wait_for_timeout(_LOOK_EVERY_MS)
        raise AssertionError(f"OHIF shows no overlay for series {series_instance_uid} within {_SECONDS} s.")

    def _screenshot(self) -> Picture:
        shown = np.frombuffer(self.page.screenshot(), np.uint8)
        return np.asarray(cv2.imdecode(shown, cv2.IMREAD_COLOR), dtype=np.uint8)


@contextmanager
def viewing(orthanc: Orthanc) -> Iterator[Viewer]:
    """Yield a viewer of the content of `orthanc`."""
    handler = partial(_Handler, orthanc.http_port, directory=str(PEERS["ohif"].program.parent))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with sync_playwright() as playwright:
            program = str(PEERS["chromium"].program)
            browser = playwright.chromium.launch(executable_path=program, args=list(_CHROMIUM))
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            page.set_default_timeout(1000 * _SECONDS)
            yield Viewer(server.server_address[1], page)
            browser.close()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(http.server.SimpleHTTPRequestHandler):
    """OHIF's files, its configuration and the archive's DICOMweb, all from one origin."""

    def __init__(self, archive_port: int, *args: Any, **kwargs: Any) -> None:
        self._archive = f"http://127.0.0.1:{archive_port}"
        super().__init__(*args, **kwargs)

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/dicom-web"):
            self._ask_archive()
        elif path == "/app-config.js":
            self._answer(HTTPStatus.OK, "text/javascript", _CONFIGURATION.encode())
        else:
            if not Path(self.directory, path.lstrip("/")).is_file():
                self.path = "/index.html"
            super().do_GET()

    def _ask_archive(self) -> None:
        headers = {"Accept": self.headers.get("Accept", "*/*"), "Host": self.headers["Host"]}
        request = urllib.request.Request(self._archive + self.path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                self._answer(answer.status, answer.headers.get("Content-Type", ""), answer.read())
        except urllib.error.HTTPError as error:
            self._answer(error.code, "text/plain", error.read())

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def overlay(picture: Picture, name: str) -> NDArray[np.bool_]:
    """Return the pixels of the picture that have the colour of the class."""
    hue, saturation, _ = cv2.split(cv2.cvtColor(picture, cv2.COLOR_BGR2HSV))
    wanted = np.zeros(hue.shape, dtype=np.bool_)
    for low, high in _HUES[name]:
        wanted |= (hue >= low) & (hue <= high)
    return wanted & (saturation >= _LEAST_SATURATION)


def centroid(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return row and column of the centre of the filled mask."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(mask.shape, dtype=np.uint8)
    cv2.drawContours(filled, contours, -1, 1, cv2.FILLED)
    return np.asarray(np.argwhere(filled).mean(axis=0), dtype=np.float64)


def on_image(place: NDArray[np.float64], picture: Picture, breast: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return row and column in the image of a position in the picture.

    The picture is aligned by its brighter part: `breast` contains the pixels of the image above LEAST_GREY.
    """
    shown = _box(picture.max(axis=2) > LEAST_GREY)
    top, left, bottom, right = _box(breast)
    scale = np.array(((bottom - top) / (shown[2] - shown[0]), (right - left) / (shown[3] - shown[1])))
    return np.asarray((place - shown[:2]) * scale + (top, left))


def _box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return first and last (exclusive) row and column of the largest connected part."""
    _, _, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    left, top, width, height, _ = (int(value) for value in max(statistics[1:], key=lambda part: int(part[4])))
    return top, left, top + height, left + width
