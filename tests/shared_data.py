"""Paths of the real mammograms and third-party files in the folder `shared` next to the checkout, if it exists."""

from pathlib import Path

import pytest

_CANDIDATE = Path(__file__).resolve().parents[2] / "shared"
SHARED: Path | None = _CANDIDATE if (_CANDIDATE / "data" / "INDEX.md").is_file() else None

needs_shared_data = pytest.mark.skipif(SHARED is None, reason="no folder `shared` beside the checkout")
