"""The result of a check of `doctor`, and the checks of the installation: packages and image decoders."""

import fcntl
import sys
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path

# PS3.6 Table A-1: JPEG Baseline, Extended, Lossless, SV1; JPEG-LS; JPEG 2000; HTJ2K; RLE
COMPRESSED = ("4.50", "4.51", "4.57", "4.70", "4.80", "4.81", "4.90", "4.91", "4.201", "4.202", "4.203", "5")


class Verdict(StrEnum):
    """The verdict of a check."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check: one line of `doctor`."""

    name: str
    verdict: Verdict
    fact: str
    remedy: str = ""
    """What to do, as a sentence; empty if there is nothing to do."""


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
        "packages", Verdict.OK, f"glam-node {metadata.version('glam-node')} on Python {python}, all packages there"
    )


def check_decoders() -> Check:
    """Check that a decoder is installed for every compressed transfer syntax of mammograms."""
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import UID

    syntaxes = [UID(f"1.2.840.10008.1.2.{suffix}") for suffix in COMPRESSED]
    missing = [syntax.name for syntax in syntaxes if not get_decoder(syntax).is_available]
    if missing:
        remedy = "Such images are kept but not analysed. Install glam-node again; it brings the decoders."
        return Check("decoders", Verdict.WARN, f"no decoder for {', '.join(missing)}", remedy)
    return Check("decoders", Verdict.OK, f"{len(syntaxes)} compressed transfer syntaxes can be read")


def serving_process(root: Path) -> str:
    """Return the process ID of the node that runs on this storage root, "?" if unknown, and "" if no node runs."""
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
