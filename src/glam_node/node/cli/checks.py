"""What `doctor` looks at on this machine: packages, decoders, storage, port, broker, database."""

import errno
import fcntl
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path

from glam_node.node.errors import NodeError
from glam_node.settings.schema import Settings

FSYNC_PROBES = 20
SLOW_FSYNC_MS = 20.0
BROKER_START_S = 5.0
# PS3.6 Table A-1: JPEG Baseline, Extended, Lossless, SV1; JPEG-LS; JPEG 2000; HTJ2K; RLE
COMPRESSED = ("4.50", "4.51", "4.57", "4.70", "4.80", "4.81", "4.90", "4.91", "4.201", "4.202", "4.203", "5")


class Verdict(StrEnum):
    """How a check ends."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `doctor`."""

    name: str
    verdict: Verdict
    fact: str
    remedy: str = ""
    """What to do; empty when there is nothing."""


def check_packages() -> Check:
    """Python and every package that glam-node needs, in the versions that it asks for."""
    from packaging.requirements import Requirement

    wrong = []
    for text in metadata.requires("glam-node") or ():
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} is {version}, not {requirement.specifier}")
    python = ".".join(str(number) for number in sys.version_info[:3])
    if wrong:
        return Check(
            "packages", Verdict.FAIL, "; ".join(wrong), "Install glam-node again: pip install --upgrade glam-node"
        )
    return Check(
        "packages", Verdict.OK, f"glam-node {metadata.version('glam-node')} on Python {python}, all packages there"
    )


def check_decoders() -> Check:
    """Every compression that mammograms come in can be read."""
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import UID

    syntaxes = [UID(f"1.2.840.10008.1.2.{suffix}") for suffix in COMPRESSED]
    missing = [syntax.name for syntax in syntaxes if not get_decoder(syntax).is_available]
    if missing:
        remedy = "Such images are kept but not analysed. Install glam-node again; it brings the decoders."
        return Check("decoders", Verdict.WARN, f"no decoder for {', '.join(missing)}", remedy)
    return Check("decoders", Verdict.OK, f"{len(syntaxes)} compressed transfer syntaxes can be read")


def check_storage(settings: Settings) -> Check:
    """The storage root takes files, has room, and its disk keeps what it says it has."""
    from glam_node.node.bootstrap import prepare_root

    root, least = settings.storage.root, settings.storage.minimum_free_bytes
    try:
        prepare_root(root)
        milliseconds = _fsync_ms(root)
        free = shutil.disk_usage(root).free
    except (NodeError, OSError) as error:
        return Check("storage", Verdict.FAIL, str(error), "Check storage.root.")
    fact = f"{root.absolute()}: {free / 1e9:.1f} GB free, fsync {milliseconds:.1f} ms"
    if free <= least:
        remedy = f"C-STORE is answered 0xA700 under {least / 1e9:.1f} GB (storage.minimum_free_bytes): make room."
        return Check("storage", Verdict.FAIL, fact, remedy)
    if milliseconds > SLOW_FSYNC_MS:
        return Check("storage", Verdict.WARN, fact, "This disk is slow to make writes durable; use a local SSD.")
    return Check("storage", Verdict.OK, fact)


def _fsync_ms(root: Path) -> float:
    """The median of some small durable writes."""
    durations = []
    with tempfile.TemporaryFile(dir=root) as file:
        for _ in range(FSYNC_PROBES):
            started = time.perf_counter()
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
            durations.append(time.perf_counter() - started)
    return sorted(durations)[FSYNC_PROBES // 2] * 1000


def check_ports(settings: Settings) -> Iterator[Check]:
    """Each port is free, or it is this node that listens on it."""
    if settings.tls.port is None or settings.tls.plain:
        yield _check_port("port", "node.port", settings.node.port, settings)
    if settings.tls.port is not None:
        yield _check_port("TLS port", "tls.port", settings.tls.port, settings)


def _check_port(name: str, key: str, port: int, settings: Settings) -> Check:
    where = f"{settings.node.host}:{port}"
    serving = serving_process(settings.storage.root)
    try:
        _bind(settings.node.host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and serving:
            return Check(name, Verdict.OK, f"{where} is served by this node (process {serving})")
        remedy = f"Set another {key}, or stop that program." if error.errno == errno.EADDRINUSE else "Check node.host."
        return Check(name, Verdict.FAIL, f"{where} cannot be used: {error.strerror}", remedy)
    if serving:
        fact = f"a node runs (process {serving}) but does not listen on {where}"
        return Check(name, Verdict.WARN, fact, f"It is starting, or was started with another {key}: see its log.")
    return Check(name, Verdict.OK, f"{where} is free")


def _bind(host: str, port: int) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1)


def serving_process(root: Path) -> str:
    """The process that serves this storage root; empty when none does."""
    from glam_node.node.run.all_in_one import LOCK_FILE

    try:
        with (root / LOCK_FILE).open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return lock.read().strip() or "?"
    except OSError:
        pass
    return ""


def check_database(settings: Settings) -> Check:
    """The database answers and has the schema of this version, or will have it at the first start."""
    from glam_node.node.bootstrap import database_trouble
    from glam_node.node.db import migrate
    from glam_node.node.db.engine import database_url
    from glam_node.settings.problems import without_password

    url = database_url(settings.database_url, settings.storage.root)
    shown = without_password(url)
    try:
        with database_trouble(settings):
            current = migrate.is_current(url)
    except NodeError as error:
        return Check("database", Verdict.FAIL, str(error), "Check database_url.")
    if current:
        return Check("database", Verdict.OK, f"{shown} answers and has the newest schema")
    return Check("database", Verdict.OK, f"{shown} is not there yet or older; `glam-node serve` makes or upgrades it")


def check_broker(settings: Settings) -> Check:
    """The broker answers; the embedded one can start."""
    from glam_node.node.worker.broker import ping
    from glam_node.settings.problems import without_password

    if not settings.broker_url:
        return _check_embedded_broker()
    try:
        ping(settings.broker_url)
    except NodeError as error:
        return Check("broker", Verdict.FAIL, str(error), "Start that Redis, or correct broker_url.")
    return Check("broker", Verdict.OK, f"{without_password(settings.broker_url)} answers")


def _check_embedded_broker() -> Check:
    """Tried in a directory of its own: the node's may be in use."""
    from glam_node.node.worker.broker import embedded_broker, ping

    with tempfile.TemporaryDirectory(prefix="glam-node-") as directory:
        try:
            broker = embedded_broker(Path(directory))
            process = subprocess.Popen(broker.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except (NodeError, OSError) as error:
            return Check("broker", Verdict.FAIL, str(error), "Set broker_url to a Redis.")
        try:
            deadline = time.monotonic() + BROKER_START_S
            while not broker.socket_path.exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            ping(broker.url)
        except NodeError as error:
            return Check(
                "broker", Verdict.FAIL, f"the embedded one does not start: {error}", "Set broker_url to a Redis."
            )
        finally:
            process.terminate()
            process.wait(BROKER_START_S)
    return Check("broker", Verdict.OK, "the embedded one starts and answers")
