"""Construction of the canaries of a node."""

import ssl
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

from glam_node.node.bootstrap.node import Node
from glam_node.node.domain.canary import AE_TITLE
from glam_node.node.domain.ports import OutgoingInstance, StoreOutcome
from glam_node.node.scu.association import RemoteAE
from glam_node.node.scu.store import CStoreDestination
from glam_node.node.scu.tls import PeerTLS
from glam_node.node.tls.contexts import CertificateFiles, client_context
from glam_node.node.tls.reloading import ReloadingContext
from glam_node.node.workflow.operate.canary import Canaries, CanaryPolicy
from glam_node.settings.schema import Settings


def canaries(node: Node) -> Canaries:
    """Return the canaries of a node, which are sent to its own port."""
    chosen = node.settings.canary
    policy = CanaryPolicy(
        timedelta(seconds=chosen.every), timedelta(seconds=chosen.limit), chosen.tolerance, chosen.issuer_of_patient_id
    )
    return Canaries(node.sessions, node.store, policy, partial(_send, own_port(node.settings)), lambda _progress: "")


def own_port(settings: Settings) -> RemoteAE:
    """Return this node as the application entity that the canary is sent to: its TLS port, if it has one."""
    node, tls = settings.node, settings.tls
    port, secure = (tls.port, _own_tls(settings)) if tls.port is not None else (node.port, None)
    return RemoteAE("node", node.ae_title, node.local_host, port, node.network_timeout, AE_TITLE, secure, "node")


def _send(port: RemoteAE, images: Sequence[OutgoingInstance], pass_code: str) -> list[StoreOutcome]:
    return CStoreDestination(replace(port, pass_code=pass_code)).store(images)


def _own_tls(settings: Settings) -> PeerTLS:
    """Return TLS that trusts the certificate of this node, under whatever name, and presents it."""
    tls = settings.tls
    files = CertificateFiles("tls", tls.certificate, tls.key, tls.certificate)
    return PeerTLS(settings.node.local_host, files, ReloadingContext(files, _own_context))


def _own_context(files: CertificateFiles) -> ssl.SSLContext:
    context = client_context(files)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
