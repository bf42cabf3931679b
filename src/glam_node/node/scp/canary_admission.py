"""Admission of the canary, which the node sends to its own port; its AE title alone admits nobody."""

from glam_node.node.db import canary
from glam_node.node.db.writer import Writer
from glam_node.node.domain.canary import AE_TITLE
from glam_node.node.errors import NodeError
from glam_node.node.scp.negotiation import Proposal, pass_code_of


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
