"""Tests that `doctor` finds each planted mistake, and none in the same node without it."""

import http.server
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from glam_node.node.db import audit, migrate
from glam_node.node.db.engine import database_url, open_database
from glam_node.node.domain.event import EventKind
from tests.integration.archive import pynetdicom_archive
from tests.integration.cli.planting import Case, Plant, Plot, Tree, archive, examined, is_found, put
from tests.integration.postgresql import execute, url_of
from tests.integration.redis_server import redis_server
from tests.peers import PEERS
from tests.ports import free_port
from tests.rows import add_waiting_result
from tests.system.orthanc import running_orthanc
from tests.waiting import wait_for_listener

pytestmark = [
    pytest.mark.peer("dcmtk"),
    pytest.mark.peer("orthanc"),
    pytest.mark.peer("redis-server"),
    pytest.mark.peer("postgresql"),
]

MEASURED = {"storage", "disk speed"}
"""Checks whose verdict depends on the disk of this machine."""
OLD_ARCHIVE = """
[[TransferSyntaxes]]
[Uncompressed]
TransferSyntax1 = LittleEndianExplicit
TransferSyntax2 = LittleEndianImplicit
[[PresentationContexts]]
[Old]
PresentationContext1 = VerificationSOPClass\\Uncompressed
PresentationContext2 = Comprehensive3DSRStorage\\Uncompressed
[[Profiles]]
[Old]
PresentationContexts = Old
"""


def taken_port(plot: Plot, tree: Tree) -> None:
    other = plot.peers.enter_context(socket.create_server(("127.0.0.1", 0)))
    tree["node"]["port"] = other.getsockname()[1]


def expired_certificate_of_ours(plot: Plot, tree: Tree) -> None:
    signed = plot.signed("node", ends_in=timedelta(minutes=-5))
    files = {"certificate": str(signed.certificate), "key": str(signed.key), "ca": str(signed.ca)}
    tree["tls"] = {"port": free_port(), **files}


def over_tls(*, ca: bool = True, **stated: Any) -> Plant:
    dates = {"ends_in": timedelta(minutes=-5)} if stated.pop("expired", False) else {}

    def plant(plot: Plot, tree: Tree) -> None:
        signed = plot.signed("archive", **dates)
        port = plot.peers.enter_context(pynetdicom_archive(signed, ssl.CERT_NONE))
        del archive(tree)["storage_commitment"]
        archive(tree).update({"port": port, "tls": True, **({"ca": str(signed.ca)} if ca else {}), **stated})

    return plant


def plain_to_tls(plot: Plot, tree: Tree) -> None:
    over_tls()(plot, tree)
    archive(tree).pop("ca")
    archive(tree)["tls"] = False


def tls_to_plain(plot: Plot, tree: Tree) -> None:
    archive(tree).update({"tls": True, "ca": str(plot.signed("node").ca)})


class Web(http.server.BaseHTTPRequestHandler):
    """A web server, which also answers requests that are not HTTP."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return


def web_server(plot: Plot, tree: Tree) -> None:
    server = plot.peers.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    plot.peers.callback(server.shutdown)
    archive(tree).update({"port": server.server_address[1], "timeout": 2.0})


def our_own_port(_plot: Plot, tree: Tree) -> None:
    archive(tree)["port"] = tree["node"]["port"]


def silent_host(plot: Plot, tree: Tree) -> None:
    silent = plot.peers.enter_context(socket.create_server(("127.0.0.1", 0)))
    archive(tree).update({"port": silent.getsockname()[1], "timeout": 0.4})


@contextmanager
def storescp(directory: Path, *options: str) -> Iterator[int]:
    port = free_port()
    command = [str(PEERS["dcmtk"].program.with_name("storescp")), *options, "-od", str(directory), str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_listener(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def archive_without_segmentations(plot: Plot, tree: Tree) -> None:
    (plot.path / "old.cfg").write_text(OLD_ARCHIVE)
    port = plot.peers.enter_context(storescp(plot.path, "-xf", str(plot.path / "old.cfg"), "Old"))
    archive(tree).update({"port": port, "storage_commitment": False})


def archive_without_commitment(plot: Plot, tree: Tree) -> None:
    archive(tree)["port"] = plot.peers.enter_context(storescp(plot.path, "+xa"))


def archive_of_another_title(plot: Plot, tree: Tree) -> None:
    orthanc = plot.peers.enter_context(running_orthanc(plot.path / f"orthanc{free_port()}"))
    archive(tree).update({"port": orthanc.dicom_port, "storage_commitment": False})


def unknown_to_the_archive(_plot: Plot, tree: Tree) -> None:
    tree["node"]["ae_title"] = "GLAM8"


def redis_of(*options: str, password: str = "", url: str = "redis://127.0.0.1:{port}/0") -> Plant:
    def plant(plot: Plot, tree: Tree) -> None:
        port = free_port()
        plot.peers.enter_context(redis_server(plot.path, port, *options, password=password))
        tree["broker_url"] = url.format(port=port)

    return plant


def postgresql_of(plot: Plot, tree: Tree) -> tuple[Path, str]:
    directory, name = plot.postgresql, f"glam{free_port()}"
    execute(directory, f"CREATE DATABASE {name}")
    tree["database_url"] = url_of(directory, name)
    return directory, tree["database_url"]


def schema_from_the_future(plot: Plot, tree: Tree) -> None:
    _, url = postgresql_of(plot, tree)
    migrate.upgrade(url)
    set_revision(url, "9999")


def set_revision(url: str, revision: str) -> None:
    import psycopg

    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", (revision,))


def database_without_rights(plot: Plot, tree: Tree) -> None:
    directory, url = postgresql_of(plot, tree)
    migrate.upgrade(url)
    execute(directory, "CREATE ROLE reader LOGIN")
    import psycopg

    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    tree["database_url"] = url.replace("postgres@", "reader@")


def damaged_package(plot: Plot, tree: Tree) -> None:
    damaged = plot.path / f"damaged{free_port()}"
    shutil.copytree(plot.package, damaged)
    with (damaged / "weights.safetensors").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last ^ 1]))
    tree["inference"]["package"] = str(damaged)


def own_root(plot: Plot, tree: Tree) -> str:
    """Make a separate storage root and return the URL of its database."""
    root = plot.path / f"storage{free_port()}"
    root.mkdir()
    tree["storage"]["root"] = str(root)
    url = database_url("", root)
    migrate.upgrade(url)
    return url


def clock_behind_the_newest_row(plot: Plot, tree: Tree) -> None:
    sessions = open_database(own_root(plot, tree))
    with sessions.begin() as session:
        audit.record(session, EventKind.PROCESS_STARTED, datetime.now(UTC) + timedelta(hours=3))
    sessions.kw["bind"].dispose()


def result_for_a_destination_that_is_gone(plot: Plot, tree: Tree) -> None:
    sessions = open_database(own_root(plot, tree))
    with sessions.begin() as session:
        add_waiting_result(session, "old")
    sessions.kw["bind"].dispose()


MAIL = {
    "smtp_host": "127.0.0.1",
    "smtp_user": "node",
    "smtp_password_path": "/nowhere/password",
    "sender": "node@hospital.example",
    "recipients": ["it@hospital.example"],
}
NODE_WORKS = frozenset({"workers"})
CASES = [
    Case("a key that is unknown", put("node", "prot", value=1), "settings", ("did you mean node.port",)),
    Case("a title of 17 characters", put("node", "ae_title", value="A" * 17), "settings", ("1 to 16",)),
    Case("two peers that are one", put("peers", "ct", value={"ae_title": "ARCHIVE"}), "settings", ("peers.pacs",)),
    Case("a title of another", put("peers", "ct", value={"ae_title": "GLAM7", "hosts": ["127.0.0.1"]}), "AE titles",
         ("peers.ct", "another node.ae_title")),
    Case("a title in lower case", put("peers", "ct", value={"ae_title": "ct", "hosts": ["127.0.0.1"]}), "AE titles",
         ("lower-case", "capitals"), "warn"),
    Case("a peer from anywhere", put("peers", "ct", value={"ae_title": "CT"}), "peers", ("peers.NAME.hosts",), "warn"),
    Case("no system may send", put("peers", value={}), "peers", ("Add the PACS",), "warn",
         frozenset({"destinations.archive commitment"})),
    Case("a port that is taken", taken_port, "port", (f"process {os.getpid()}", "Set another node.port")),
    Case("an address of another", put("node", "host", value="203.0.113.1"), "port", ("Check node.host",)),
    Case("our certificate expired", expired_certificate_of_ours, "tls certificate", ("expired", "Renew")),
    Case("its certificate expired", over_tls(expired=True), "destinations.archive TLS",
         ("certificate has expired", "to renew it")),
    Case("its authority unknown", over_tls(ca=False), "destinations.archive TLS",
         ("is not trusted", "destinations.archive.ca")),
    Case("its name another", over_tls(server_name="archive.example"), "destinations.archive TLS",
         ("Set destinations.archive.server_name", "localhost")),
    Case("a name that reads like a cause", over_tls(server_name="expired.example"), "destinations.archive TLS",
         ("Set destinations.archive.server_name", "localhost")),
    Case("plain spoken to TLS", plain_to_tls, "destinations.archive", ("destinations.archive.tls = true",)),
    Case("TLS spoken to plain", tls_to_plain, "destinations.archive TLS", ("destinations.archive.tls = false",)),
    Case("a web server", web_server, "destinations.archive", ("HTTP", "destinations.archive.port")),
    Case("a name without address", put("destinations", "archive", "host", value="nowhere.invalid"),
         "destinations.archive", ("has no address", "destinations.archive.host")),
    Case("nobody there", put("destinations", "archive", "port", value=free_port()), "destinations.archive",
         ("connection refused", "Is it running?")),
    Case("our own port", our_own_port, "destinations.archive", ("is this node itself", "destinations.archive.host")),
    Case("a host that is silent", silent_host, "destinations.archive", ("within 0.4 s", "is its DICOM port")),
    Case("an archive without SEG", archive_without_segmentations, "destinations.archive results",
         ("segmentation", "destinations.archive.fallbacks")),
    Case("another called title", archive_of_another_title, "destinations.archive",
         ("called AE title", "Check destinations.archive.ae_title")),
    Case("a calling title unknown there", unknown_to_the_archive, "destinations.archive", ("Register GLAM8",)),
    Case("no commitment there", archive_without_commitment, "destinations.archive commitment",
         ("destinations.archive.storage_commitment = false",)),
    Case("commitment without a peer", put("peers", "pacs", "ae_title", value="PACS"),
         "destinations.archive commitment", ("would reject its answers", "[peers.archive]")),
    Case("a password left out", redis_of(password="hunter2"), "broker", ("PASSWORD",)),
    Case("a wrong password", redis_of(password="hunter2", url="redis://:hunter3@127.0.0.1:{port}/0"), "broker",
         ("rejects the user or password",)),
    Case("a broker that forgets", redis_of("--maxmemory-policy", "allkeys-lru"), "broker", ("noeviction",), "warn",
         NODE_WORKS),
    Case("TLS spoken to a broker without it", redis_of(url="rediss://127.0.0.1:{port}/0?ssl_cert_reqs=none"), "broker",
         ("does not answer in TLS", "This port does not accept TLS. Use redis://")),
    Case("a broker whose name reads like a cause", put("broker_url", value="redis://certificate.invalid:6379/0"),
         "broker", ("Start that Redis",)),
    Case("no broker", put("broker_url", value=f"redis://127.0.0.1:{free_port()}/0"), "broker", ("Start that Redis",)),
    Case("nobody works", redis_of(), "workers", ("glam-node worker",), "warn"),
    Case("a newer schema", schema_from_the_future, "database", ("9999", "Install the version that created it")),
    Case("a database to look at only", database_without_rights, "database",
         ("permission denied", "GRANT ALL ON ALL TABLES")),
    Case("no database", put("database_url", value="postgresql+psycopg://g:hunter2@127.0.0.1:1/g"), "database",
         ("does not answer", "Start the database")),
    Case("a clock that is behind", clock_behind_the_newest_row, "clock", ("newest row", "chrony")),
    Case("results for nobody", result_for_a_destination_that_is_gone, "deliveries",
         ("1 result for destinations.old", "Restore the section"), "warn"),
    Case("too little room", put("storage", "minimum_free_bytes", value=10**18), "storage", ("0xA700", "Free some"),
         beside=frozenset({"retention"}), asks=frozenset({"storage"})),
    Case("a pause above the free space", put("storage", "pause_free_bytes", value=10**18), "storage",
         ("No study is analysed", "storage.pause_free_bytes"), asks=frozenset({"storage"})),
    Case("a database without its directory", put("database_url", value="sqlite:////nowhere/glam/node.sqlite"),
         "database", ("no directory /nowhere/glam", "Create the directory")),
    Case("a root that cannot be written", put("storage", "root", value="/dev/null/root"), "storage",
         ("cannot be written", "storage.root"), asks=frozenset({"storage"})),
    Case("retention that comes too late", put("retention", "free_bytes", value=500), "retention",
         ("before old studies are removed",), "warn"),
    Case("a console that nobody may enter", put("console", value={"host": "0.0.0.0", "port": free_port()}), "console",
         ("no user can sign in", "glam-node console user add"), "warn"),
    Case("no password for mails", put("alerts", value=MAIL), "alerts.smtp_password_path",
         ("/nowhere/password cannot be read", "Write only the secret")),
    Case("a damaged package", damaged_package, "model", ("inference.package",), asks=frozenset({"model"})),
    Case("a device that is not there", put("inference", "device", value="cuda:77"), "model", ("inference.device",),
         asks=frozenset({"model"})),
]  # fmt: skip


def test_a_node_without_a_mistake_is_ok(plot: Plot) -> None:
    lines = examined(plot, plot.sound())
    wrong = {name: line for name, line in lines.items() if line["verdict"] != "ok" and name not in MEASURED}
    demonstration = wrong.pop("model")  # the shipped package is a demonstration, and `doctor` always reports that
    assert (demonstration["verdict"], wrong) == ("warn", {})
    assert "inference.demonstration_on_patients" in demonstration["remedy"]
    assert all(lines[name]["verdict"] != "FAIL" for name in MEASURED)
    assert {"golden case", "destinations.archive results", "destinations.archive commitment"} <= set(lines)


@pytest.mark.parametrize("case", CASES, ids=[case.what for case in CASES])
def test_a_planted_mistake_is_found_and_named(plot: Plot, case: Case) -> None:
    is_found(plot, case)
