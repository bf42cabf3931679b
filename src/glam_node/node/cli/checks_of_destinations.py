"""The checks of `doctor` for a destination: TLS, connection, accepted results, storage commitment and queries."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, assert_never
from uuid import uuid4

from glam_node.node.cli.checks import Check, Verdict
from glam_node.node.cli.checks_of_files import EXPIRES_SOON
from glam_node.node.domain.words import counted
from glam_node.node.errors import NodeError
from glam_node.node.scu.association import DIAGNOSIS_TIMEOUT_S, RemoteAE
from glam_node.node.scu.echo import Survey, echo, remote_ae_of, survey
from glam_node.node.scu.find import count_mammograms
from glam_node.node.scu.hl7 import HL7Peer, hl7_peer
from glam_node.node.scu.tls import HandshakeFailure, PeerTLS, handshake_failure
from glam_node.node.scu.web_peer import WebPeer, web_peer
from glam_node.node.tls.certificates import ServerCertificate, server_certificate
from glam_node.node.tls.contexts import CertificateTrouble
from glam_node.settings.destination_base import ServerSettings
from glam_node.settings.destinations import (
    CStoreSettings,
    DestinationSettings,
    FolderSettings,
    HL7Settings,
    StowSettings,
)
from glam_node.settings.reference import section_to_append
from glam_node.settings.schema import Settings

SPARE_S = 20.0
_WAITING = "Results wait on this machine until the destination answers."


def limit_s(destination: DestinationSettings) -> float:
    """Return how many seconds the checks of a destination may take.

    The connection, the request, and the search for the reason of a failure may each time out.
    """
    return SPARE_S + (3 * destination.timeout if isinstance(destination, ServerSettings) else 0)


def missing_destinations() -> Check:
    """Warn that the settings name no destination."""
    section = section_to_append("destinations.archive", ae_title="ARCHIVE", host="10.0.0.5", port=104)
    remedy = f"Add the archive at the end of the settings file:\n{section}"
    return Check("destinations", Verdict.WARN, "results stay on this machine", remedy)


def check_destination(name: str, settings: Settings) -> Iterator[Check]:
    """Check that a destination answers, shows a valid certificate, admits this node, and accepts its results."""
    match destination := settings.destinations[name]:
        case ServerSettings() if _is_this_node(destination, settings):
            fact = (
                f"{destination.host}:{destination.port} is this node itself, which would get its own results as images"
            )
            remedy = f"Set destinations.{name}.host and destinations.{name}.port to those of the archive."
            yield Check(f"destinations.{name}", Verdict.FAIL, fact, remedy)
        case CStoreSettings():
            yield from _check_archive(remote_ae_of(name, destination, settings.node.ae_title), destination, settings)
        case StowSettings():
            yield from _check_server(web_peer(name, destination), settings)
        case HL7Settings():
            yield from _check_server(hl7_peer(name, destination), settings)
        case FolderSettings():
            yield _check_echo(name, settings, "Results wait on this machine until the folder can be written.")
        case _:
            assert_never(destination)


def _is_this_node(destination: ServerSettings, settings: Settings) -> bool:
    """Return whether a destination is a port of this node on an address of this machine."""
    if destination.port not in (settings.node.port, settings.tls.port):
        return False
    try:
        addresses = socket.getaddrinfo(destination.host, destination.port, type=socket.SOCK_DGRAM)
    except OSError:
        return False
    return any(_is_ours(family, address) for family, _, _, _, address in addresses)


def _is_ours(family: int, address: tuple[Any, ...]) -> bool:
    """Return whether an address belongs to this machine, by trying to bind a socket to the address."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address[0], 0, *address[2:]))
    except OSError:
        return False
    return True


def _check_archive(peer: RemoteAE, destination: CStoreSettings, settings: Settings) -> Iterator[Check]:
    """Check TLS, C-ECHO, the chosen results and storage commitment of a DICOM archive."""
    if peer.tls is not None:
        check = check_tls(peer, peer.tls)
        yield check
        if check.verdict is Verdict.FAIL:
            return
    try:
        found = survey(peer, destination)
    except NodeError as error:
        yield Check(f"destinations.{peer.name}", Verdict.FAIL, str(error), _WAITING)
        return
    yield Check(f"destinations.{peer.name}", Verdict.OK, f"{peer} answers C-ECHO to {peer.calling_ae_title}")
    yield _results(peer.name, destination, found)
    if destination.storage_commitment:
        yield _commitment(peer.name, destination, settings, found)
    if settings.assembly.confirm_with == peer.name:
        yield _queries(peer)


def _check_server(peer: WebPeer | HL7Peer, settings: Settings) -> Iterator[Check]:
    """Check TLS and the answer of a server that cannot state in advance which results it accepts."""
    if peer.tls is not None:
        check = check_tls(peer, peer.tls)
        yield check
        if check.verdict is Verdict.FAIL:
            return
    yield _check_echo(peer.name, settings, _WAITING)


def _check_echo(name: str, settings: Settings, remedy: str) -> Check:
    """Check that a destination answers the request that `glam-node echo` sends."""
    report = echo(name, settings.destinations[name], settings.node.ae_title)
    return Check(
        f"destinations.{name}", Verdict.OK if report.ok else Verdict.FAIL, report.message, "" if report.ok else remedy
    )


def _queries(peer: RemoteAE) -> Check:
    """Check that an archive answers C-FIND, with a query for a study that does not exist."""
    line = f"destinations.{peer.name} queries"
    try:
        count_mammograms(peer, f"2.25.{uuid4().int}")
    except NodeError as error:
        remedy = "Until it answers, only assembly.quiet_time decides when a study is complete."
        return Check(line, Verdict.FAIL, str(error), remedy)
    return Check(line, Verdict.OK, "answers C-FIND, so assembly.confirm_with works")


def check_tls(peer: RemoteAE | WebPeer | HL7Peer, tls: PeerTLS) -> Check:
    """Check TLS by a handshake with the configured certificates."""
    section = tls.files.section
    line = f"{section} TLS"
    patience = min(peer.timeout, DIAGNOSIS_TIMEOUT_S * 2)
    try:
        failure = handshake_failure(tls, peer.address, patience)
    except NodeError as error:  # The certificate files of the node cannot be used.
        return Check(line, Verdict.FAIL, str(error), f"Correct {section}.certificate, .key and .ca.")
    except OSError as error:
        reason = f"{peer} cannot be reached: {_reason(error)}"
        return Check(line, Verdict.FAIL, reason, f"Is it running? Check {section}.host and {section}.port.")
    shown = _shown(peer, tls, patience)
    certificate = f" It shows {_told(shown)}." if shown is not None else ""
    if failure:
        return Check(line, Verdict.FAIL, f"{peer}: {failure}.{certificate}", _remedy(peer, tls, failure, shown))
    if shown is not None and shown.not_after - datetime.now(UTC) < EXPIRES_SOON:
        return Check(
            line,
            Verdict.WARN,
            f"agreed with {peer}.{certificate}",
            "Ask the administrator of the archive to renew it.",
        )
    return Check(line, Verdict.OK, f"agreed with {peer}.{certificate}")


def _shown(peer: RemoteAE | WebPeer | HL7Peer, tls: PeerTLS, patience: float) -> ServerCertificate | None:
    try:
        return server_certificate(peer.address, tls.server_name, patience, tls.files)
    except OSError:  # The destination showed no certificate; ssl.SSLError is an OSError.
        return None


def _told(shown: ServerCertificate) -> str:
    left = (shown.not_after - datetime.now(UTC)).days
    days = f"{counted(left, 'day')} left" if left >= 0 else f"expired {counted(-left, 'day')} ago"
    names = ", ".join(sorted(shown.names)) or "no name"
    return f"a certificate for {names}, valid until {shown.not_after:%Y-%m-%d} ({days})"


def _remedy(
    peer: RemoteAE | WebPeer | HL7Peer, tls: PeerTLS, failure: HandshakeFailure, shown: ServerCertificate | None
) -> str:
    section = tls.files.section
    if failure.certificate is CertificateTrouble.DATES:
        return (
            "Ask the administrator of the archive to renew it, and check the clock of this machine; until then nothing "
            "is sent or fetched."
        )
    if failure.certificate is CertificateTrouble.NAME and shown is not None:
        return f"Set {section}.server_name to a name in the certificate: {', '.join(sorted(shown.names))}."
    if failure.certificate is not None:
        return f"Add the authority that signed the certificate to the file {section}.ca."
    if not failure.speaks_tls:
        return f"{peer.host}:{peer.port} does not accept TLS. Set {section}.tls = false, or use its TLS port."
    return "Nothing is sent or fetched until the TLS handshake succeeds."


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _results(name: str, destination: CStoreSettings, found: Survey) -> Check:
    line = f"destinations.{name} results"
    if found.refused:
        remedy = (
            f"Have the archive accept them, remove them from destinations.{name}.results, or name other kinds "
            f"in destinations.{name}.fallbacks."
        )
        return Check(line, Verdict.FAIL, f"does not accept {', '.join(found.refused)}", remedy)
    if not destination.results:
        return Check(
            line,
            Verdict.WARN,
            "the destination gets no results",
            f"Choose kinds of results in destinations.{name}.results.",
        )
    fallbacks = destination.fallbacks.by_kind
    taken = [
        f"{kind} as {found.accepted[kind][0]}"
        if kind in found.accepted
        else f"{fallbacks[kind]} for {kind} as {found.accepted[fallbacks[kind]][0]}"
        for kind in destination.results
    ]
    return Check(line, Verdict.OK, f"accepts {', '.join(taken)}")


def _commitment(name: str, destination: CStoreSettings, settings: Settings, found: Survey) -> Check:
    line = f"destinations.{name} commitment"
    if not found.commitment:
        remedy = f"Allow it for {settings.node.ae_title} there, or set destinations.{name}.storage_commitment = false."
        return Check(line, Verdict.FAIL, "accepts no requests for storage commitment", remedy)
    if all(peer.ae_title != destination.ae_title for peer in settings.peers.values()):
        fact = f"{destination.ae_title} is not a peer, so this node would reject its answers"
        section = section_to_append(f"peers.{name}", ae_title=destination.ae_title, hosts=[destination.host])
        remedy = f"Add it at the end of the settings file:\n{section}"
        return Check(line, Verdict.FAIL, fact, remedy)
    return Check(line, Verdict.OK, "accepts requests for storage commitment, and may answer")
