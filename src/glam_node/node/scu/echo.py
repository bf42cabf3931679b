"""The check of a destination: whether it answers, knows this node and accepts its results."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import assert_never

from pydicom.uid import UID
from pynetdicom import build_context
from pynetdicom.association import Association

from glam_node.node.domain.commitment import PUSH_MODEL
from glam_node.node.errors import NodeError, PermanentError
from glam_node.node.scu.association import RemoteAE, lost_association, no_context_accepted, open_association
from glam_node.node.scu.folder import check_folder
from glam_node.node.scu.hl7 import check_engine, hl7_peer
from glam_node.node.scu.stow import check_web_server
from glam_node.node.scu.tls import peer_tls
from glam_node.node.scu.transfer_syntaxes import TRANSFER_SYNTAXES
from glam_node.node.scu.web_peer import web_peer
from glam_node.result_kinds import SOP_CLASSES
from glam_node.settings.destinations import (
    CStoreSettings,
    DestinationSettings,
    FolderSettings,
    HL7Settings,
    StowSettings,
)
from glam_node.settings.sources import DicomSourceSettings

VERIFICATION = "1.2.840.10008.1.1"


@dataclass(frozen=True, slots=True)
class EchoOutcome:
    """The outcome of checking a destination or a source."""

    ok: bool
    milliseconds: float
    """Duration from the connection to the release."""
    message: str
    """The answer, or the failure and its remedy, in plain words."""


def echo(name: str, destination: DestinationSettings, calling_ae_title: str) -> EchoOutcome:
    """Check whether [destinations.NAME] answers and accepts its kinds of results. A failure is returned, not raised."""
    return timed(lambda: _answer(name, destination, calling_ae_title))


def timed(check: Callable[[], str]) -> EchoOutcome:
    """Return the outcome of a check that returns a sentence or raises a NodeError."""
    started = time.monotonic()
    try:
        message = check()
    except NodeError as error:
        return EchoOutcome(False, _milliseconds_since(started), str(error))
    return EchoOutcome(True, _milliseconds_since(started), message)


def _answer(name: str, destination: DestinationSettings, calling_ae_title: str) -> str:
    match destination:
        case CStoreSettings():
            return _ask(remote_ae_of(name, destination, calling_ae_title), destination)
        case StowSettings():
            return check_web_server(web_peer(name, destination))
        case FolderSettings():
            return check_folder(name, destination.path)
        case HL7Settings():
            return check_engine(hl7_peer(name, destination))
    assert_never(destination)


def remote_ae_of(name: str, archive: CStoreSettings | DicomSourceSettings, calling_ae_title: str) -> RemoteAE:
    """Return the application entity that [destinations.NAME] or [sources.NAME] describes."""
    section = f"{'destinations' if isinstance(archive, CStoreSettings) else 'sources'}.{name}"
    return RemoteAE(
        name,
        archive.ae_title,
        archive.host,
        archive.port,
        archive.timeout,
        calling_ae_title,
        peer_tls(section, archive),
        section,
    )


@dataclass(frozen=True, slots=True)
class Survey:
    """The results and services that a destination accepts."""

    accepted: Mapping[str, tuple[str, ...]]
    """Kind of result -> names of the accepted transfer syntaxes; kinds that are not accepted are left out."""
    refused: tuple[str, ...]
    """Kinds of result that the destination does not accept, and whose fallback it does not accept either."""
    commitment: bool
    """True if the destination accepts requests for storage commitment."""


def survey(peer: RemoteAE, destination: CStoreSettings) -> Survey:
    """Send a C-ECHO on an association that proposes the SOP classes of all results for the destination.

    Each transfer syntax is proposed in its own presentation context, so that the answer shows all accepted ones.

    Raises:
        NodeError: The peer does not answer, or answers with a failure.
    """
    results, fallbacks = destination.results, destination.fallbacks.by_kind
    kinds = dict.fromkeys((*results, *fallbacks.values()))
    names = {str(TRANSFER_SYNTAXES[name]): name for name in destination.transfer_syntaxes}
    storage = [
        build_context(uid, syntax) for uid in dict.fromkeys(SOP_CLASSES[kind] for kind in kinds) for syntax in names
    ]
    asked = [build_context(VERIFICATION), build_context(PUSH_MODEL), *storage]
    with open_association(peer, asked) as association:
        taken: dict[str, list[str]] = {}
        for context in association.accepted_contexts:
            taken.setdefault(str(context.abstract_syntax), []).append(str(context.transfer_syntax[0]))
        if VERIFICATION not in taken:
            raise no_context_accepted(peer, [build_context(VERIFICATION)])
        send_echo(peer, association)
    accepted = {
        kind: tuple(names[syntax] for syntax in taken[SOP_CLASSES[kind]])
        for kind in kinds
        if SOP_CLASSES[kind] in taken
    }
    refused = tuple(kind for kind in results if kind not in accepted and fallbacks.get(kind) not in accepted)
    return Survey(accepted, refused, PUSH_MODEL in taken)


def send_echo(peer: RemoteAE, association: Association) -> None:
    """Send a C-ECHO on an association that accepts Verification.

    Raises:
        NodeError: The peer does not answer, or answers with a failure.
    """
    try:
        answer = association.send_c_echo()
    except RuntimeError as error:
        raise lost_association(peer, "C-ECHO", association) from error
    if "Status" not in answer:
        raise lost_association(peer, "C-ECHO", association)
    if answer.Status != 0:
        raise PermanentError(
            f"{peer} answered 0x{answer.Status:04X} to C-ECHO. Check the archive's log.", status=answer.Status
        )


def _ask(peer: RemoteAE, destination: CStoreSettings) -> str:
    """Return a sentence that names the peer and the fallbacks that the node sends to it.

    Raises:
        NodeError: The peer does not answer, or accepts too little.
    """
    found = survey(peer, destination)
    if found.refused:
        refused = [UID(SOP_CLASSES[kind]).name for kind in found.refused]
        raise PermanentError(
            f"{peer} answers to {peer.calling_ae_title} but does not accept {', '.join(refused)}. "
            f"Have the archive accept it, remove it from {peer.section}.results, "
            f"or name a fallback for it in {peer.section}.fallbacks."
        )
    fallbacks = destination.fallbacks.by_kind
    instead = [f"{fallbacks[kind]} for {kind}" for kind in destination.results if kind not in found.accepted]
    return f"{peer} answers to {peer.calling_ae_title}." + (f" The node sends {', '.join(instead)}." if instead else "")


def _milliseconds_since(started: float) -> float:
    return (time.monotonic() - started) * 1000
