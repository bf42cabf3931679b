"""Construction of the canaries of a node."""

import ssl
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import assert_never

import pydicom
from pydicom.uid import ExplicitVRLittleEndian

from glam_node.node.bootstrap.node import Node
from glam_node.node.domain.canary import AE_TITLE, CERTIFICATE_NAME, FOLDER
from glam_node.node.domain.ports import OutgoingInstance, StoreOutcome
from glam_node.node.errors import PermanentError
from glam_node.node.scu.association import RemoteAE
from glam_node.node.scu.folder import FolderDestination
from glam_node.node.scu.store import CStoreDestination
from glam_node.node.scu.stow import delete_study
from glam_node.node.scu.tls import PeerTLS
from glam_node.node.scu.web_peer import WebPeer, web_peer
from glam_node.node.storage.findings import latest_findings
from glam_node.node.tls.contexts import CertificateFiles, client_context
from glam_node.node.tls.own_certificate import own_client_files
from glam_node.node.tls.reloading import ReloadingContext
from glam_node.node.workflow.operate.canary import Canaries, CanaryPolicy
from glam_node.node.workflow.operate.canary_withdrawal import Withdrawal, withdraw
from glam_node.node.workflow.operate.study_progress import Progress
from glam_node.settings.destinations import CStoreSettings, FolderSettings, HL7Settings, StowSettings
from glam_node.settings.schema import Settings

REASON = "The canary, a synthetic study that tests the way of studies, has arrived and is no longer needed."


def canaries(node: Node) -> Canaries:
    """Return the canaries of a node, which are sent to its own port."""
    chosen = node.settings.canary
    inference = node.settings.inference
    policy = CanaryPolicy(
        timedelta(seconds=chosen.every),
        timedelta(seconds=chosen.limit),
        chosen.tolerance,
        chosen.issuer_of_patient_id,
        inference.package is None and inference.predictor == type(inference)().predictor,
    )
    return Canaries(node.sessions, node.store, policy, partial(_send, node.settings), _withdraw(node))


def _withdraw(node: Node) -> Callable[[Progress], str]:
    chosen = node.settings.canary
    ways = {name: way for name in chosen.destinations if (way := _withdrawal(name, node)) is not None}
    return partial(withdraw, node.store, ways if chosen.withdraw else {})


def _withdrawal(name: str, node: Node) -> Withdrawal | None:
    """Return how results are withdrawn from a destination; None if it has no way to do so."""
    match settings := node.settings.destinations[name]:
        case CStoreSettings():
            return partial(_reject, node, name)
        case StowSettings():
            return partial(_delete_or_reject, node, web_peer(name, settings))
        case FolderSettings():
            folder = FolderDestination(name, settings.path)
            return lambda _progress, objects: folder.remove(one.sop_instance_uid for one in objects)
        case HL7Settings():
            return None
    assert_never(settings)


def _delete_or_reject(node: Node, peer: WebPeer, progress: Progress, objects: Sequence[OutgoingInstance]) -> None:
    """Have a DICOMweb server delete the study, or send it a rejection note if it does not offer to delete.

    Raises:
        NodeError: The server does neither.
    """
    try:
        delete_study(peer, progress.study.study_instance_uid)
    except PermanentError:
        _reject(node, peer.name, progress, objects)


def _reject(node: Node, name: str, progress: Progress, objects: Sequence[OutgoingInstance]) -> None:
    """Send a rejection note about the objects.

    Raises:
        NodeError: The archive does not store it.
    """
    # Imported here because only nodes whose canary goes to such an archive need highdicom in this process.
    from glam_node.node.results.rejection_note import write_rejection_note

    found = latest_findings(node.store.root, progress.jobs)
    if found is None:
        raise PermanentError("the findings of the canary are gone.")
    headers = [pydicom.dcmread(one.path, stop_before_pixels=True) for one in objects]
    identity = node.inference.identity.at(datetime.now(UTC), node.inference.identity.settings_digest)
    note = write_rejection_note(headers, found.algorithm, identity, REASON)
    with TemporaryDirectory(dir=node.store.root / FOLDER) as directory:
        path = Path(directory) / "note.dcm"
        note.save_as(path, enforce_file_format=True)
        (outcome,) = node.destinations[name].store(
            [OutgoingInstance(str(note.SOPClassUID), str(note.SOPInstanceUID), ExplicitVRLittleEndian, path)]
        )
    if not outcome.stored:
        raise PermanentError(outcome.failure)


def own_port(settings: Settings) -> RemoteAE:
    """Return this node as the application entity that the canary is sent to: its TLS port, if it has one."""
    node, tls = settings.node, settings.tls
    port, secure = (tls.port, _own_tls(settings)) if tls.port is not None else (node.port, None)
    return RemoteAE("node", node.ae_title, node.local_host, port, node.network_timeout, AE_TITLE, secure, "node")


def _send(settings: Settings, images: Sequence[OutgoingInstance], pass_code: str) -> list[StoreOutcome]:
    return CStoreDestination(replace(own_port(settings), pass_code=pass_code)).store(images)


def _own_tls(settings: Settings) -> PeerTLS:
    """Return TLS that trusts the certificate of this node, under whatever name, and presents one if it is asked for."""
    tls = settings.tls
    files = CertificateFiles("tls", ca=tls.certificate)
    if tls.client_certificate != "none":
        own = own_client_files(settings.storage.root / FOLDER, CERTIFICATE_NAME, datetime.now(UTC))
        files = replace(files, certificate=own.certificate, key=own.key)
    return PeerTLS(settings.node.local_host, files, ReloadingContext(files, _own_context))


def _own_context(files: CertificateFiles) -> ssl.SSLContext:
    context = client_context(files)
    context.check_hostname = False
    return context
