"""Tests that the digest of settings changes exactly when results may change."""

from pathlib import Path

import pytest

from glam_node.settings import digest
from glam_node.settings.digest import settings_digest
from glam_node.settings.load import load_settings


@pytest.mark.parametrize(
    ("name", "text", "changes"),
    [
        ("GLAM_NODE__RESULTS__SERIES_NUMBER", "7", True),
        ("GLAM_NODE__INFERENCE__PACKAGE", "elsewhere", True),
        ("GLAM_NODE__INFERENCE__OPERATING_POINTS__BENIGN__MINIMUM_AREA_PX", "7", True),
        ("GLAM_NODE__INFERENCE__PRECISION", "fast", True),
        ("GLAM_NODE__INFERENCE__SEGMENT", "always", True),
        ("GLAM_NODE__INFERENCE__CALIBRATION__BENIGN", "{slope = 1, intercept = 0}", True),
        ("GLAM_NODE__INFERENCE__RUNTIME", "torch", False),
        ("GLAM_NODE__INFERENCE__DEVICE", "cpu", False),
        ("GLAM_NODE__INFERENCE__LEASE_TIME", "7", False),
        ("GLAM_NODE__NODE__PORT", "7", False),
    ],
)
def test_the_digest_follows_what_changes_results(name: str, text: str, changes: bool) -> None:
    before, after = settings_digest(load_settings(None, {})), settings_digest(load_settings(None, {name: text}))
    assert (before != after) is changes


def test_another_version_of_the_writers_changes_the_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    before = settings_digest(load_settings(None, {}))
    monkeypatch.setattr(digest, "_WRITER_VERSION", digest._WRITER_VERSION + 1)
    assert settings_digest(load_settings(None, {})) != before


def test_the_digest_is_a_sha256_in_hex() -> None:
    assert len(bytes.fromhex(settings_digest(load_settings(None, {})))) == 32


def test_other_weights_in_the_same_directory_change_the_digest(tmp_path: Path) -> None:
    settings = load_settings(None, {"GLAM_NODE__INFERENCE__PACKAGE": str(tmp_path)})
    digests = set()
    for text in (None, '[weights]\nsha256 = "aa"', '[weights]\nsha256 = "bb"'):
        if text is not None:
            (tmp_path / "package.toml").write_text(text, encoding="utf-8")
        digests.add(settings_digest(settings))
    assert len(digests) == 3
