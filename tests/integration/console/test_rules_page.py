"""The page that tries rules on files, over real HTTP."""

import re
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from urllib.error import HTTPError

import pytest
from pydicom.dataset import Dataset

from glam_node.inference.phantom import make_exam
from glam_node.node.bootstrap import Node, build_node
from glam_node.node.console import rules_page
from glam_node.node.console.app import create_console
from glam_node.settings.rules import RuleSettings
from glam_node.settings.schema import Settings, StorageSettings
from tests.integration.console.browser import listening

BOUNDARY = "a-boundary-that-no-file-has"


class Form:
    """The form of the page, sent as by a browser."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/rules"
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        self.token = re.findall(r'name="form_token" value="([0-9a-f]+)"', self.page())[0]

    def page(self) -> str:
        with self._opener.open(self.url, timeout=30) as answer:
            return str(answer.read().decode())

    def send(self, files: dict[str, bytes], caller: str = "", **headers: str) -> tuple[int, str]:
        """Send the form, and return status and page."""
        fields = {"form_token": self.token, "calling_ae_title": caller}
        parts = [(f'name="{name}"', value.encode()) for name, value in fields.items()]
        parts += [(f'name="files"; filename="{name}"', content) for name, content in files.items()]
        lines = [
            f"--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"
            for head, content in parts
        ]
        body = b"".join([*lines, f"--{BOUNDARY}--\r\n".encode()])
        stated = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", **headers}
        try:
            with self._opener.open(urllib.request.Request(self.url, body, stated), timeout=60) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    rules = {
        "clinic": RuleSettings(when='calling_ae_title == "CLINIC"', then="shadow"),
        "old": RuleSettings(when="StudyDate < 2000-01-01", then="ignore"),
    }
    root = tmp_path_factory.mktemp("node") / "root"
    return build_node(Settings(storage=StorageSettings(root=root), rules=rules))


@pytest.fixture(scope="module")
def form(node: Node) -> Iterator[Form]:
    with listening(create_console(node, "127.0.0.1")) as port:
        yield Form(port)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the files of a small exam that contain a patient's name."""
    folder, found = tmp_path_factory.mktemp("exam"), {}
    for view in make_exam(7, rows=64, columns=48):
        image: Dataset = view.dataset
        image.PatientName = "Secret^Anna"
        path = folder / f"{image.ImageLaterality}-{image.ViewPosition}.dcm"
        image.save_as(path, enforce_file_format=True)
        found[path.name] = path.read_bytes()
    return found


def test_the_page_lists_the_rules_in_force_in_their_order(form: Form) -> None:
    page = form.page()
    assert 0 < page.index("rules.clinic") < page.index("rules.old")
    assert "StudyDate &lt; 2000-01-01" in page


def test_the_page_shows_the_rule_that_decides_on_files(form: Form, files: dict[str, bytes]) -> None:
    status, page = form.send({**files, "notes.txt": b"no image"}, "CLINIC")
    assert status == 200
    assert "<dd>shadow</dd>" in page
    assert "rules.clinic holds: calling_ae_title is &#34;clinic&#34;" in page
    assert "rules.old does not hold: StudyDate is not shown" in page
    assert all(name in page for name in files)
    assert "Not read: notes.txt: This is not a readable DICOM file" in page
    assert "Secret" not in page


def test_another_rule_decides_for_another_sender(form: Form, files: dict[str, bytes]) -> None:
    page = form.send(files)[1]
    assert "<dd>analyse</dd>" in page
    assert "screening_views" in page


def test_uploaded_files_are_not_kept(form: Form, node: Node, files: dict[str, bytes]) -> None:
    before = sorted(node.store.root.rglob("*"))
    form.send(files)
    assert sorted(node.store.root.rglob("*")) == before


def test_a_form_of_another_site_is_refused(form: Form, files: dict[str, bytes]) -> None:
    ours, form.token = form.token, "0" * 64
    try:
        status, page = form.send(files)
    finally:
        form.token = ours
    assert (status, "This form has expired" in page) == (403, True)


def test_a_form_that_is_too_large_is_refused_before_it_is_read(form: Form, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules_page, "MOST_BYTES", 1000)
    status, page = form.send({"a.dcm": b"0" * 2000})
    assert (status, "Choose fewer" in page) == (413, True)


def test_a_form_without_a_file_is_reported(form: Form) -> None:
    assert "No file was chosen." in form.send({})[1]


@pytest.mark.parametrize("name", ["../../etc/passwd", "<script>alert(1)</script>.dcm"])
def test_names_of_uploaded_files_are_only_shown(form: Form, name: str) -> None:
    page = form.send({name.replace('"', ""): b"no image"})[1]
    assert "<script>alert" not in page
    assert "Not read:" in page
