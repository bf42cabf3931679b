"""Verification SCU: is the archive there, does it know us?"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from pydicom.uid import UID
from pynetdicom import build_context

from glam_node.node.errors import NodeError, PermanentError
from glam_node.node.results.kinds import SOP_CLASSES
from glam_node.node.scu.association import Peer, associated, lost, nothing_accepted
from glam_node.node.scu.syntaxes import TRANSFER_SYNTAXES
from glam_node.node.scu.tls import peer_tls
from glam_node.settings.destinations import DestinationSettings

VERIFICATION = "1.2.840.10008.1.1"


@dataclass(frozen=True, slots=True)
class EchoReport:
    """What came of asking a destination whether it is there."""

    ok: bool
    milliseconds: float
    """From the connection to the release."""
    message: str
    """In plain words: who answered, or what to do."""


def echo(name: str, destination: DestinationSettings, calling_ae_title: str) -> EchoReport:
    """[destinations.NAME] answers and takes its kinds of results, or says why not; a failure is no exception."""
    started = time.monotonic()
    try:
        message = (
            _look(name, destination.path or Path())
            if destination.kind == "folder"
            else _ask(peer_of(name, destination, calling_ae_title), destination)
        )
    except NodeError as error:
        return EchoReport(False, _milliseconds_since(started), str(error))
    return EchoReport(True, _milliseconds_since(started), message)


def peer_of(name: str, destination: DestinationSettings, calling_ae_title: str) -> Peer:
    """The application entity that [destinations.NAME] describes."""
    return Peer(
        name,
        destination.ae_title,
        destination.host,
        destination.port,
        destination.timeout,
        calling_ae_title,
        peer_tls(name, destination),
    )


def _ask(peer: Peer, destination: DestinationSettings) -> str:
    """C-ECHO on an association that proposes what the chosen results need, too."""
    results, fallbacks = destination.results, destination.fallbacks.by_kind
    classes = dict.fromkeys(SOP_CLASSES[kind] for kind in (*results, *fallbacks.values()))
    syntaxes: list[str | UID] = [TRANSFER_SYNTAXES[name] for name in destination.transfer_syntaxes]
    storage = [build_context(uid, syntaxes) for uid in classes]
    with associated(peer, [build_context(VERIFICATION), *storage]) as association:
        accepted = {str(context.abstract_syntax) for context in association.accepted_contexts}
        if VERIFICATION not in accepted:
            raise nothing_accepted(peer, [build_context(VERIFICATION)])
        started = time.monotonic()
        try:
            answer = association.send_c_echo()
        except RuntimeError as error:
            raise lost(peer, "C-ECHO", timed_out=False) from error
        if "Status" not in answer:
            raise lost(peer, "C-ECHO", timed_out=time.monotonic() - started >= peer.timeout)
        if answer.Status != 0:
            raise PermanentError(
                f"{peer} answered 0x{answer.Status:04X} to C-ECHO. Look into the log of the archive.",
                status=answer.Status,
            )
    taken = {kind for kind in SOP_CLASSES if SOP_CLASSES[kind] in accepted}
    refused = [SOP_CLASSES[kind].name for kind in results if taken.isdisjoint({kind, fallbacks.get(kind, kind)})]
    if refused:
        raise PermanentError(
            f"{peer} answers to {peer.calling_ae_title} but does not accept {', '.join(refused)}. "
            f"Have the archive accept it, take it out of destinations.{peer.name}.results, "
            f"or name what may stand in for it in destinations.{peer.name}.fallbacks."
        )
    instead = [f"{fallbacks[kind]} for {kind}" for kind in results if kind not in taken]
    return f"{peer} answers to {peer.calling_ae_title}." + (f" It gets {', '.join(instead)}." if instead else "")


def _look(name: str, path: Path) -> str:
    if path.is_dir() and not os.access(path, os.W_OK):
        raise PermanentError(f"Folder {path} cannot be written. Check its owner, or destinations.{name}.path.")
    return f"Folder {path} takes results."


def _milliseconds_since(started: float) -> float:
    return (time.monotonic() - started) * 1000
