"""Model packages for tests, in addition to the default one."""

from pathlib import Path

SEEDED_PACKAGE = Path(__file__).parent / "seeded_package"
"""A GLAM package of the published size, seeded and UNTRAINED; about half of the phantoms get a finding."""
