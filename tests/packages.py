"""Model packages that tests use beside the default one."""

from pathlib import Path

SEEDED_PACKAGE = Path(__file__).parent / "seeded_package"
"""GLAM of the published size, seeded and UNTRAINED; its thresholds give about every second phantom a finding."""
