"""[audit], and the digests by which changed settings are found."""

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
def test_what_cannot_be_is_named(variables: dict[str, str], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        load_settings(None, {f"GLAM_NODE__AUDIT__{name}": value for name, value in variables.items()})


def changed(**variables: str) -> set[str]:
    """Sections whose digest is another than with the defaults."""
    given = {f"GLAM_NODE__{name}": value for name, value in variables.items()}
    before, after = section_digests(load_settings(None, {})), section_digests(load_settings(None, given))
    return {name for name in before if before[name] != after[name]}


def test_each_section_has_a_digest_of_its_own() -> None:
    assert changed(AUDIT__HOST="collector", LOG__LEVEL="debug") == {"audit", "log"}


def test_a_password_has_no_part_in_a_digest() -> None:
    one, other = (
        section_digests(load_settings(None, {"GLAM_NODE__DATABASE_URL": f"postgresql://glam:{password}@db/glam"}))
        for password in ("one", "other")
    )
    assert one == other
