"""Storage of results in a DICOMweb server: they arrive unchanged, and every answer is read."""

import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from glam_node.node.domain.ports import OutgoingInstance
from glam_node.node.errors import PermanentError, TransientError
from glam_node.node.scu.echo import echo
from glam_node.node.scu.stow import StowDestination, delete_study
from glam_node.node.scu.web_peer import web_peer
from glam_node.settings.destinations import StowSettings
from tests.certificates import Authority, Signed
from tests.integration.archive import Archive
from tests.integration.scu.conftest import SEGMENTATION_STORAGE, Outgoing
from tests.peers import PEERS
from tests.ports import free_port
from tests.system.orthanc import running_orthanc
from tests.unit.results.analysed import analysed_exam, encoded


def settings(port: int, **stated: Any) -> StowSettings:
    """Return the settings of [destinations.web] on this machine."""
    values = {"kind": "stow-rs", "host": "127.0.0.1", "port": port, "timeout": 5, **stated}
    return StowSettings.model_validate(values)


def to(port: int, **stated: Any) -> StowDestination:
    return StowDestination(web_peer("web", settings(port, **stated)))


@dataclass
class Server:
    """A server that gives the same answer to every request and keeps the requests."""

    status: int
    said: Any
    tls: ssl.SSLContext | None = None
    bodies: list[tuple[str, bytes]] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    port: int = 0


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Log nothing."""

        def do_GET(self) -> None:
            server.authorizations += [self.headers["Authorization"]] if "Authorization" in self.headers else []
            length = int(self.headers.get("Content-Length", 0))
            server.bodies.append((self.headers.get("Content-Type", ""), self.rfile.read(length)))
            answer = server.said if isinstance(server.said, bytes) else json.dumps(server.said).encode()
            self.send_response(server.status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_DELETE = do_GET

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if server.tls is not None:
        listening.socket = server.tls.wrap_socket(listening.socket, server_side=True)
    server.port = listening.server_address[1]
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


def items(tag: str, *instances: OutgoingInstance, reason: int | None = None) -> dict[str, Any]:
    """Return one of the two sequences of an answer (PS3.18 10.5.3)."""
    why = {} if reason is None else {"00081197": {"vr": "US", "Value": [reason]}}
    value = [{"00081155": {"vr": "UI", "Value": [one.sop_instance_uid]}, **why} for one in instances]
    return {tag: {"vr": "SQ", "Value": value}}


def test_each_file_is_one_request_exactly_as_it_lies_on_disk(outgoing: Outgoing) -> None:
    one, other = outgoing(), outgoing(SEGMENTATION_STORAGE)
    with serving(Server(200, items("00081199", one, other))) as server:
        outcomes = to(server.port).store([one, other])
    assert [(outcome.stored, outcome.failure) for outcome in outcomes] == [(True, "")] * 2
    for (content_type, body), instance in zip(server.bodies, (one, other), strict=True):
        kind, _, boundary = content_type.partition("boundary=")
        assert kind == 'multipart/related; type="application/dicom"; '
        head, _, rest = body.partition(b"\r\n\r\n")
        assert head == f"--{boundary}\r\nContent-Type: application/dicom".encode()
        assert rest == instance.path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()


@pytest.mark.parametrize(
    ("status", "reason", "stored", "transient", "refused", "words"),
    [
        (202, 0x0111, True, False, False, ""),
        (409, 0x0122, False, False, True, "SOP class not supported"),
        (409, 0xA700, False, True, False, "out of resources"),
        (409, 0xC000, False, False, False, "cannot understand"),
        (409, 0x0110, False, True, False, "processing failure"),
    ],
)
def test_the_reason_decides_what_happens_next(
    outgoing: Outgoing, status: int, reason: int, stored: bool, transient: bool, refused: bool, words: str
) -> None:
    instance = outgoing()
    with serving(Server(status, items("00081198", instance, reason=reason))) as server:
        (outcome,) = to(server.port).store([instance])
    assert (outcome.stored, outcome.transient, outcome.sop_class_refused) == (stored, transient, refused)
    assert words in outcome.failure
    assert stored or f"127.0.0.1:{server.port}/dicom-web answered {status}" in outcome.failure


@pytest.mark.parametrize(
    ("status", "said", "transient", "words"),
    [
        (202, {}, True, "does not say that it is stored"),
        (200, {"message": "Unauthorized"}, True, "does not say that it is stored"),
        (200, b"<html><body>Sign in</body></html>", True, "does not say that it is stored"),
        (200, b"<html>", True, "does not say that it is stored"),
        (200, b"<html>Sign in</html>", True, "does not say that it is stored"),
        (200, b"<?xml version='1.0'?><error/>", True, "does not say that it is stored"),
        (200, b"null", True, "does not say that it is stored"),
        (200, {"00081199": {"vr": "SQ", "Value": ["nonsense"]}}, True, "does not say that it is stored"),
        (200, {"00081198": {"vr": "SQ", "Value": [{}]}}, True, "does not say that it is stored"),
        (200, {"00081198": {"vr": "SQ", "Value": {}}}, True, "does not say that it is stored"),
        (302, b"", True, "destinations.web.service_path"),
        (400, {}, False, "destinations.web.service_path"),
        (401, b"", True, "destinations.web.authorization"),
        (404, b"no", True, "destinations.web.service_path"),
        (413, b"", False, "larger objects"),
        (503, b"", True, "answered 503"),
    ],
)
def test_an_answer_that_names_no_object_stores_none(
    outgoing: Outgoing, status: int, said: Any, transient: bool, words: str
) -> None:
    with serving(Server(status, said)) as server:
        (outcome,) = to(server.port).store([outgoing()])
    assert (outcome.stored, outcome.transient) == (False, transient)
    assert words in outcome.failure


XML = """<?xml version="1.0" encoding="UTF-8"?>
<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM">
  <DicomAttribute tag="{sequence}" vr="SQ" keyword="X"><Item number="1">
    <DicomAttribute tag="00081155" vr="UI"><Value number="1">{uid}</Value></DicomAttribute>
    <DicomAttribute tag="{reason}" vr="US"><Value number="1">{value}</Value></DicomAttribute>
  </Item></DicomAttribute>
</NativeDicomModel>"""


@pytest.mark.parametrize(
    "said", ["array", "nothing", "an empty data set", "an empty array", "XML", "lower case", "BOM", "no list", "padded"]
)
def test_an_answer_counts_as_stored_however_a_server_writes_it(outgoing: Outgoing, said: str) -> None:
    instance = outgoing()
    usual = items("00081199", instance)
    answers: dict[str, Any] = {
        "array": [usual],
        "nothing": b"",
        "an empty data set": {},
        "an empty array": [],
        "XML": XML.format(sequence="00081199", uid=instance.sop_instance_uid, reason="00081196", value=0).encode(),
        "lower case": {"0008119a": {"vr": "SQ"}, **usual},
        "no list": {"00081199": {"vr": "SQ", "Value": {"00081155": {"vr": "UI", "Value": instance.sop_instance_uid}}}},
        "padded": {"00081199": {"vr": "SQ", "Value": [{"00081155": {"Value": [f"{instance.sop_instance_uid}\0"]}}]}},
        "BOM": b"\xef\xbb\xbf" + json.dumps(usual).encode(),
    }
    with serving(Server(200, answers[said])) as server:
        (outcome,) = to(server.port).store([instance])
    assert (outcome.stored, outcome.failure, outcome.warning) == (True, "", "")


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><html><body>Sign in</body></html>", b"<html><p>Sign in<br></html>"])
def test_a_server_that_answers_a_search_with_a_web_page_is_not_a_dicomweb_server(page: bytes) -> None:
    with serving(Server(200, page)) as server:
        answer = echo("web", settings(server.port), "GLAMNODE")
    assert not answer.ok
    assert "answered with a web page to a search" in answer.message
    assert "Check destinations.web.service_path and destinations.web.authorization" in answer.message


@pytest.mark.parametrize("said", [b"", b"[]", [{"0020000D": {"vr": "UI", "Value": ["1.2"]}}], b'[{"0020000D'])
def test_a_dicomweb_server_is_one_whatever_it_lists(said: Any) -> None:
    with serving(Server(200, said)) as server:
        assert echo("web", settings(server.port), "GLAMNODE").ok


def test_a_warning_reason_is_kept(outgoing: Outgoing) -> None:
    instance = outgoing()
    said = items("00081199", instance)
    said["00081199"]["Value"][0]["00081196"] = {"vr": "US", "Value": [0xB006]}
    with serving(Server(202, said)) as server:
        (outcome,) = to(server.port).store([instance])
    assert (outcome.stored, outcome.warning) == (True, "0xB006 (stored, elements discarded)")


def test_a_failure_is_read_from_xml_and_of_an_object_that_is_not_named(outgoing: Outgoing) -> None:
    instance = outgoing()
    xml = XML.format(sequence="00081198", uid=instance.sop_instance_uid, reason="00081197", value=0xA700).encode()
    for said in (xml, {"0008119A": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0xA700]}}]}}):
        with serving(Server(409, said)) as server:
            (outcome,) = to(server.port).store([instance])
        assert (outcome.stored, outcome.transient, outcome.status) == (False, True, 0xA700)


def test_a_server_that_refuses_the_node_is_asked_once_for_all_objects(outgoing: Outgoing) -> None:
    with serving(Server(401, b"")) as server:
        outcomes = to(server.port).store([outgoing(), outgoing()])
    assert [(one.reached, one.transient) for one in outcomes] == [(False, True)] * 2
    assert len(server.bodies) == 1


def test_a_missing_file_fails_alone_and_an_absent_server_is_a_transient_failure(outgoing: Outgoing) -> None:
    gone, there = outgoing(), outgoing()
    gone.path.unlink()
    with serving(Server(200, items("00081199", there))) as server:
        first, second = to(server.port).store([gone, there])
    assert (first.stored, first.transient, second.stored) == (False, True, True)
    away = to(free_port()).store([there, there])
    assert [(outcome.stored, outcome.transient, outcome.reached) for outcome in away] == [(False, True, False)] * 2
    assert to(free_port()).store([]) == []


def test_results_go_only_to_servers_with_a_certificate_of_the_authority(
    outgoing: Outgoing, authority: Authority, tmp_path: Path
) -> None:
    theirs: Signed = authority.sign("archive")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(theirs.certificate, theirs.key)
    instance = outgoing()
    with serving(Server(200, items("00081199", instance), context)) as server:
        (trusted,) = to(server.port, tls=True, ca=theirs.ca).store([instance])
        (stranger,) = to(server.port, tls=True).store([instance])
        (renamed,) = to(server.port, tls=True, ca=theirs.ca, server_name="elsewhere.example").store([instance])
    assert trusted.stored, trusted.failure
    assert [(one.stored, one.transient) for one in (stranger, renamed)] == [(False, True)] * 2
    assert "certificate verify failed" in stranger.failure


@pytest.mark.peer("orthanc")
@pytest.mark.peer("orthanc-dicomweb")
def test_orthanc_stores_results_once_and_returns_them(tmp_path: Path) -> None:
    exam = analysed_exam(64, 48).only("L CC")
    results = []
    for dataset in (*exam.segmentations(), exam.report()):
        path = tmp_path / f"{dataset.SOPInstanceUID}.dcm"
        path.write_bytes(encoded(dataset))
        syntax = str(dataset.file_meta.TransferSyntaxUID)
        results.append(OutgoingInstance(dataset.SOPClassUID, dataset.SOPInstanceUID, syntax, path))
    with running_orthanc(tmp_path / "orthanc", plugins=(PEERS["orthanc-dicomweb"].program,)) as orthanc:
        known = settings(orthanc.http_port)
        assert echo("web", known, "GLAMNODE").ok
        assert not echo("web", settings(orthanc.http_port, service_path="/elsewhere"), "GLAMNODE").ok
        for _ in range(2):
            outcomes = StowDestination(web_peer("web", known)).store(results)
            assert [(one.stored, one.failure) for one in outcomes] == [(True, "")] * len(results)
        identifiers = {one["MainDicomTags"]["SOPInstanceUID"]: one["ID"] for one in orthanc.get("/instances?expand")}
        returned = {uid: orthanc.get_bytes(f"/instances/{name}/file") for uid, name in identifiers.items()}
    assert returned.keys() == {one.sop_instance_uid for one in results}
    for one in results:
        assert dcmread(BytesIO(returned[one.sop_instance_uid])) == dcmread(one.path)


def test_the_file_of_authorization_is_read_for_every_call(outgoing: Outgoing, tmp_path: Path) -> None:
    instance, secret = outgoing(), tmp_path / "authorization"
    with serving(Server(200, items("00081199", instance))) as server:
        destination = to(server.port, authorization=secret)
        (without,) = destination.store([instance])
        secret.write_text("Bearer of-today\n")
        assert destination.store([instance])[0].stored
        secret.write_text("Bearer of-tomorrow\n")
        assert destination.store([instance])[0].stored
    assert (without.stored, without.transient) == (False, True)
    assert "destinations.web.authorization" in without.failure
    assert server.authorizations == ["Bearer of-today", "Bearer of-tomorrow"]


@pytest.mark.parametrize("status", [200, 202, 204])
def test_a_study_is_deleted_where_the_server_offers_that(status: int) -> None:
    with serving(Server(status, b"")) as server:
        delete_study(web_peer("web", settings(server.port)), "1.2.3")
    assert len(server.bodies) == 1


def test_a_server_that_does_not_delete_is_an_error_and_one_that_is_away_another() -> None:
    with serving(Server(405, b"")) as server, pytest.raises(PermanentError, match=r"answered 405 to DELETE of 1\.2\.3"):
        delete_study(web_peer("web", settings(server.port)), "1.2.3")
    with pytest.raises(TransientError):
        delete_study(web_peer("web", settings(free_port())), "1.2.3")


def test_a_dicom_port_is_named_as_such(archive: Archive, outgoing: Outgoing) -> None:
    (outcome,) = to(archive.port).store([outgoing()])
    assert "does not speak HTTP, perhaps DICOM: set destinations.web.port to the port" in outcome.failure
    with pytest.raises(TransientError, match="perhaps DICOM"):
        delete_study(web_peer("web", settings(archive.port)), "1.2.3")
