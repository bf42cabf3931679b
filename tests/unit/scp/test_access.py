"""Tests of recorded rejections that the current settings would not repeat."""

from typing import Any

import pytest

from glam_node.node.scp.access import CALLED_AE_TITLE_NOT_RECOGNIZED, CALLING_AE_TITLE_NOT_RECOGNIZED, is_settled
from glam_node.settings.peers import PeerSettings
from glam_node.settings.schema import NodeSettings

REJECTED: dict[str, Any] = {
    "calling_ae_title": "CT1",
    "called_ae_title": "GLAMNODE",
    "address": "10.0.0.7",
    "rejection": list(CALLING_AE_TITLE_NOT_RECOGNIZED),
}
ADMITTING = {"ct": PeerSettings(ae_title="CT1", hosts=("10.0.0.7",))}
FINGERPRINT = "sha256:" + "ab" * 32


def test_a_rejection_is_settled_once_the_peer_is_among_the_settings() -> None:
    assert not is_settled(REJECTED, NodeSettings(), {})
    assert is_settled(REJECTED, NodeSettings(), ADMITTING)


def test_a_rejection_of_another_host_is_not_settled() -> None:
    assert not is_settled(REJECTED | {"address": "10.0.0.8"}, NodeSettings(), ADMITTING)


def test_a_rejection_for_the_called_title_is_settled_once_the_node_has_that_title() -> None:
    rejected = REJECTED | {"called_ae_title": "NEW", "rejection": list(CALLED_AE_TITLE_NOT_RECOGNIZED)}
    assert not is_settled(rejected, NodeSettings(), ADMITTING)
    assert is_settled(rejected, NodeSettings(ae_title="NEW"), ADMITTING)


@pytest.mark.parametrize("missing", [{"rejection": [2, 3, 2]}, {"rejection": None}, {"address": "nonsense"}])
def test_a_rejection_for_another_reason_is_never_settled(missing: dict[str, Any]) -> None:
    assert not is_settled(REJECTED | missing, NodeSettings(), ADMITTING)


def test_a_rejection_for_a_certificate_is_not_settled_by_the_title() -> None:
    bound = {"ct": PeerSettings(ae_title="CT1", certificates=(FINGERPRINT,))}
    assert not is_settled(REJECTED, NodeSettings(), bound)


@pytest.mark.parametrize("listed", [FINGERPRINT, "ct.hospital.example"])
def test_a_rejection_is_settled_once_the_certificate_of_the_peer_is_listed(listed: str) -> None:
    presented = {"certificate": FINGERPRINT, "certificate_names": ["ct.hospital.example"]}
    bound = {"ct": PeerSettings(ae_title="CT1", certificates=(listed,))}
    assert is_settled(REJECTED | presented, NodeSettings(), bound)
    other = {"certificate": "sha256:" + "cd" * 32, "certificate_names": ["other"]}
    assert not is_settled(REJECTED | other, NodeSettings(), bound)
