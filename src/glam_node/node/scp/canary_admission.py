"""Admission of the canary, which the node sends to its own port; its AE title alone admits nobody."""

from pathlib import Path

from glam_node.node.db import canary
from glam_node.node.db.writer import Writer
from glam_node.node.domain.canary import AE_TITLE, CERTIFICATE_NAME, FOLDER
from glam_node.node.errors import NodeError
from glam_node.node.scp.access import CALLING_AE_TITLE_NOT_RECOGNIZED, Caller, Rejection
from glam_node.node.scp.negotiation import Proposal, pass_code_of
from glam_node.node.tls.own_certificate import CERTIFICATE_FILE

CANARY_ONLY = Rejection(
    CALLING_AE_TITLE_NOT_RECOGNIZED,
    "the certificate with which the node sends canaries was presented by another sender, or after its canary",
    "let the sender present a certificate of its own",
)


def canary_study_of(proposal: Proposal, writer: Writer) -> str:
    """Return the only study that the sender of the canary may store; empty for every other sender.

    The sender proves itself by a pass code that this node chose for one canary, and that is valid while it is sent.
    Others with the AE title are judged by [peers], as anybody is.
    """
    pass_code = pass_code_of(proposal) if proposal.calling_ae_title == AE_TITLE else ""
    if not pass_code:
        return ""
    try:
        return writer.submit(lambda session: canary.admitted_study(session, pass_code))
    except NodeError:
        return ""


def is_own(caller: Caller) -> bool:
    """Return whether the caller presented the certificate with which the node sends canaries, and nothing else."""
    return caller.certificate is not None and CERTIFICATE_NAME in caller.certificate.names


def own_certificate(root: Path) -> Path:
    """Return the file with the certificate of the node as the sender of canaries; it exists after the first of them."""
    return root / FOLDER / CERTIFICATE_FILE
