"""A short proof of which settings and which model package a result was made with."""

import hashlib
import json
from pathlib import Path
from typing import Any

from glam_node.settings.reference import masked
from glam_node.settings.schema import Settings

_WITHOUT_EFFECT = {
    "demonstration_on_patients",
    "device",
    "runtime",
    "threads",
    "overlap",
    "lease_time",
    "maximum_attempts",
}
RULES, ORDER_OF_RULES = "rules", "order of rules"
# Here by its place, since settings know nothing of models.
_DEFAULT_PACKAGE = Path(__file__).parents[1] / "inference" / "default_package"


def settings_digest(settings: Settings) -> str:
    """SHA-256, in hex, of what changes results: [results], [inference] without how and where it runs, and the package.

    The package is taken as its package.toml says, which has the digest of the weights; one that is not there counts as
    none.
    """
    inference = settings.inference.model_dump(mode="json", exclude=_WITHOUT_EFFECT)
    if not settings.inference.calibration:
        del inference["calibration"]  # as digests were before there was such a setting
    results = settings.results.model_dump(mode="json")
    package = _file_digest((settings.inference.package or _DEFAULT_PACKAGE) / "package.toml")
    canonical = json.dumps({"inference": inference, "results": results, "package": package}, sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def section_digests(settings: Settings) -> dict[str, str]:
    """SHA-256, in hex, of every section as it is in force, passwords left out; of a file its path counts.

    Where there are several rules, ORDER_OF_RULES is one more: the first that holds decides.
    """
    digests = {name: _sha256(values) for name, values in masked(settings).items()}
    return digests | ({ORDER_OF_RULES: _sha256(list(settings.rules))} if len(settings.rules) > 1 else {})


def _sha256(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _file_digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
