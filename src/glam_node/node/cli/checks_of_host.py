"""The checks of `doctor` for this machine: packages, decoders, environment variables, disk, retention and TCP ports."""

import errno
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

from glam_node.node.cli.checks import Check, Verdict, serving_process
from glam_node.node.errors import NodeError
from glam_node.settings.problems import mistyped_variables
from glam_node.settings.schema import Settings

# PS3.6 Table A-1: JPEG Baseline, Extended, Lossless, SV1; JPEG-LS; JPEG 2000; HTJ2K; RLE
COMPRESSED = ("4.50", "4.51", "4.57", "4.70", "4.80", "4.81", "4.90", "4.91", "4.201", "4.202", "4.203", "5")
IN_MEMORY = ("tmpfs", "ramfs")
FSYNC_PROBES = 20
SLOW_FSYNC_MS = 20.0
MAMMOGRAM_BYTES = 17_000_000
"""Size of one uncompressed view of 3328 x 2560 pixels with 16 bits."""
MAMMOGRAMS = 4
SLOW_MAMMOGRAMS_PER_S = 2.0
EXAMS_A_DAY = 100
"""Number of exams that a busy screening unit performs in a day."""
DAY_BYTES = EXAMS_A_DAY * MAMMOGRAMS * MAMMOGRAM_BYTES
PROC = Path("/proc")
LISTEN = "0A"
"""State of a listening socket in /proc/net/tcp (proc(5))."""
NODE = "glam-node"
UNMOUNTED = "on another storage.root or one whose share is not mounted"


def check_packages() -> Check:
    """Check that every required package is installed in a version that glam-node accepts."""
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
        "packages",
        Verdict.OK,
        f"glam-node {metadata.version('glam-node')} on Python {python}, all packages are installed",
    )


def check_decoders() -> Check:
    """Check that a decoder is installed for every compressed transfer syntax of mammograms."""
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import UID

    syntaxes = [UID(f"1.2.840.10008.1.2.{suffix}") for suffix in COMPRESSED]
    missing = [syntax.name for syntax in syntaxes if not get_decoder(syntax).is_available]
    if missing:
        remedy = "Images with these transfer syntaxes are stored but not analysed. Install glam-node again."
        return Check("decoders", Verdict.WARN, f"no decoder for {', '.join(missing)}", remedy)
    return Check("decoders", Verdict.OK, f"{len(syntaxes)} compressed transfer syntaxes can be read")


def check_storage(settings: Settings) -> Iterator[Check]:
    """Check that storage.root can be written, has enough free space, and is on a disk that is fast enough."""
    from glam_node.node.bootstrap.base_node import disk_remedy, existing_part, prepare_root
    from glam_node.node.db.local_disk import file_system_of

    root = settings.storage.root
    # The check does not create storage.root: if root runs `doctor`, the service could not use the new directory.
    place = existing_part(root)
    try:
        if place == root:
            prepare_root(root)
        milliseconds = _fsync_ms(place)
        free = shutil.disk_usage(place).free
    except NodeError as error:
        yield Check(
            "storage",
            Verdict.FAIL,
            str(error),
            "The node receives no images and makes no results until this is corrected.",
        )
        return
    except OSError as error:
        fact = f"storage.root {root.absolute()} cannot be written by user {os.getuid()}: {error.strerror or error}"
        yield Check("storage", Verdict.FAIL, fact, disk_remedy(error, root))
        return
    kind = file_system_of(place)
    if kind in IN_MEMORY:
        remedy = (
            "All images and results are lost when this machine restarts. Set storage.root to a directory on a disk."
        )
        yield Check("storage", Verdict.WARN, f"{root.absolute()} lies in memory ({kind})", remedy)
    yield _space(settings, free, milliseconds)
    if free > settings.storage.minimum_free_bytes + MAMMOGRAM_BYTES:
        yield _speed(place)


def check_variables(environ: Mapping[str, str]) -> Iterator[Check]:
    """Warn about environment variables that look like settings but match none."""
    for problem in mistyped_variables(environ):
        yield Check("environment", Verdict.WARN, str(problem), "Correct its name, or unset it.")


def _space(settings: Settings, free: int, milliseconds: float) -> Check:
    root, least = settings.storage.root, settings.storage.minimum_free_bytes
    new = "" if root.exists() else " (does not exist yet; `glam-node serve` creates it)"
    fact = f"{root.absolute()}{new}: {free / 1e9:.1f} GB free, fsync {milliseconds:.1f} ms"
    if free <= least:
        remedy = (
            f"C-STORE is answered with 0xA700 below {least / 1e9:.1f} GB (storage.minimum_free_bytes). Free some space."
        )
        return Check("storage", Verdict.FAIL, fact, remedy)
    if free <= (pause := settings.storage.pause_free_bytes):
        remedy = f"No study is analysed below {pause / 1e9:.1f} GB. Free some space, or lower storage.pause_free_bytes."
        return Check("storage", Verdict.FAIL, fact, remedy)
    if free - least < DAY_BYTES:
        need = f"{EXAMS_A_DAY} exams need {DAY_BYTES / 1e9:.0f} GB, and {(free - least) / 1e9:.1f} GB may be used"
        return Check("storage", Verdict.WARN, f"{fact}; {need}", "Free space for one day, or set retention.free_bytes.")
    if milliseconds > SLOW_FSYNC_MS:
        return Check("storage", Verdict.WARN, fact, "This disk is slow to complete fsync. Use a local SSD.")
    return Check("storage", Verdict.OK, fact)


def _fsync_ms(root: Path) -> float:
    """Return the median time, in ms, of a write of 4 KiB with fsync."""
    durations = []
    with tempfile.TemporaryFile(dir=root) as file:
        for _ in range(FSYNC_PROBES):
            started = time.perf_counter()
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
            durations.append(time.perf_counter() - started)
    return sorted(durations)[FSYNC_PROBES // 2] * 1000


def _speed(root: Path) -> Check:
    """Measure how many files as large as a mammogram can be written with fsync in a second."""
    data = os.urandom(MAMMOGRAM_BYTES)
    durations = []
    for _ in range(MAMMOGRAMS):
        with tempfile.TemporaryFile(dir=root) as file:
            started = time.perf_counter()
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            durations.append(time.perf_counter() - started)
    seconds = sorted(durations)[MAMMOGRAMS // 2]
    fact = (
        f"writes {MAMMOGRAM_BYTES / seconds / 1e6:.0f} MB/s with fsync: {1 / seconds:.1f} mammograms of 17 MB a second"
    )
    if 1 / seconds < SLOW_MAMMOGRAMS_PER_S:
        return Check("disk speed", Verdict.WARN, fact, "Senders wait for this disk; use a local SSD.")
    return Check("disk speed", Verdict.OK, fact)


def check_retention(settings: Settings) -> Iterator[Check]:
    """Check that retention removes old studies before C-STORE is refused because the disk is full."""
    days, keep, least = settings.retention.days, settings.retention.free_bytes, settings.storage.minimum_free_bytes
    if keep and keep <= least:
        fact = f"retention.free_bytes ({keep}) is not more than storage.minimum_free_bytes ({least})"
        remedy = "C-STORE is refused before old studies are removed. Set retention.free_bytes to a larger number."
        yield Check("retention", Verdict.WARN, fact, remedy)
        return
    early = f", or earlier below {keep / 1e9:.1f} GB free" if keep else ""
    yield Check("retention", Verdict.OK, f"finished studies are removed after {days:g} days{early}")


def check_ports(settings: Settings) -> Iterator[Check]:
    """Check that each port of the node is free, or that this node listens on it."""
    if settings.tls.port is None or settings.tls.plain:
        yield _check_port("port", "node.port", settings.node.host, settings.node.port, settings)
    if settings.tls.port is not None:
        yield _check_port("TLS port", "tls.port", settings.node.host, settings.tls.port, settings)
    if settings.console.port:
        yield _check_port("console port", "console.port", settings.console.host, settings.console.port, settings)
    if settings.hl7.port:
        yield _check_port("HL7 port", "hl7.port", settings.hl7.host, settings.hl7.port, settings)


def _check_port(name: str, key: str, host: str, port: int, settings: Settings) -> Check:
    where = f"{host}:{port}"
    serving = serving_process(settings.storage.root)
    try:
        _bind(host, port)
    except OSError as error:
        return _unusable(name, key, port, where, serving, error)
    if serving:
        fact = f"a node runs (process {serving}) but does not listen on {where}"
        return Check(name, Verdict.WARN, fact, f"It is starting, or was started with another {key}: see its log.")
    return Check(name, Verdict.OK, f"{where} is free")


def _unusable(name: str, key: str, port: int, where: str, serving: str, error: OSError) -> Check:
    section = key.partition(".")[0]
    if error.errno == errno.EADDRINUSE and serving:
        return Check(name, Verdict.OK, f"{where} is served by this node (process {serving})")
    if error.errno == errno.EADDRINUSE:
        return _taken(name, key, where, *listener_of(port))
    if error.errno == errno.EACCES:
        remedy = (
            f"Only root may use ports below 1024. Set {key} to 1024 or more, or let the service use them with "
            "deploy/systemd/port-below-1024.conf."
        )
        return Check(name, Verdict.FAIL, f"{where} cannot be used: {error.strerror}", remedy)
    fact = f"{where} cannot be used: {error.strerror}"
    return Check(name, Verdict.FAIL, fact, f"Check {'node' if section == 'tls' else section}.host.")


def _taken(name: str, key: str, where: str, program: str, process: str) -> Check:
    if program == NODE:
        fact = f"a running glam-node (process {process}) uses {where}, {UNMOUNTED}"
        remedy = f"Check the mount of storage.root. If that is another node on purpose, set another {key}."
        return Check(name, Verdict.FAIL, fact, remedy)
    who = f" ({program}, process {process})" if process else ""
    fact = f"{where} cannot be used: {os.strerror(errno.EADDRINUSE)}{who}"
    return Check(name, Verdict.FAIL, fact, f"Set another {key}, or stop that program.")


def _bind(host: str, port: int) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1)


def listener_of(port: int) -> tuple[str, str]:
    """Return the program and process ID that listen on `port`; empty if there is none, or another user runs it."""
    inodes = {f"socket:[{inode}]" for inode in _inodes(port)}
    for directory in PROC.glob("[0-9]*") if inodes else ():
        try:
            if any(str(link.readlink()) in inodes for link in (directory / "fd").iterdir()):
                return _program(directory), directory.name
        except OSError:
            continue
    return "", ""


def _program(directory: Path) -> str:
    words = (directory / "cmdline").read_text(errors="replace").split("\0")
    if any(Path(word).name == NODE or word.partition(".")[0] == "glam_node" for word in words):
        return NODE
    return (directory / "comm").read_text().strip()


def _inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        try:
            lines = (PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for words in map(str.split, lines):
            if words[3] == LISTEN and int(words[1].rpartition(":")[2], 16) == port:
                yield words[9]
