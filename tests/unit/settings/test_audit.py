"""Tests of [audit], and of the digests that show which sections changed."""

import pytest

from glam_node.settings.digest import section_digests
from glam_node.settings.load import SettingsError, load_settings


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"HOST": "collector", "CERTIFICATE": "/c.pem"}, "audit.key: is missing"),
        ({"HOST": "collector", "KEY": "/c.key"}, "audit.certificate: is missing"),
        ({"CA": "/ca.pem"}, "audit.ca: is for a collector: audit.host is unset"),
        ({"HOST": "collector", "PORT": "0"}, "audit.port"),
    ],
)
def test_impossible_settings_are_refused_with_their_key(variables: dict[str, str], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        load_settings(None, {f"GLAM_NODE__AUDIT__{name}": value for name, value in variables.items()})


def changed(**variables: str) -> set[str]:
    """Return the sections whose digest differs from that of the defaults."""
    given = {f"GLAM_NODE__{name}": value for name, value in variables.items()}
    before, after = section_digests(load_settings(None, {})), section_digests(load_settings(None, given))
    return {name for name in before if before[name] != after[name]}


def test_each_section_has_its_own_digest() -> None:
    assert changed(AUDIT__HOST="collector", LOG__LEVEL="debug") == {"audit", "log"}


def test_a_password_does_not_change_a_digest() -> None:
    one, other = (
        section_digests(load_settings(None, {"GLAM_NODE__DATABASE_URL": f"postgresql://glam:{password}@db/glam"}))
        for password in ("one", "other")
    )
    assert one == other
