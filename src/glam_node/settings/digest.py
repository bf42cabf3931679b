"""Digests of settings, which record the settings and the model package that a result was made with."""

import hashlib
import json
from pathlib import Path
from typing import Any

from glam_node.settings.reference import masked
from glam_node.settings.schema import Settings

# Increase this number when the writers of results change their output or the UIDs, so that objects written again get
# new UIDs, and studies that were read before count as read with other settings.
_WRITER_VERSION = 3
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
# The path is repeated here, since this package may not import glam_node.inference.
_DEFAULT_PACKAGE = Path(__file__).parents[1] / "inference" / "default_package"


def settings_digest(settings: Settings) -> str:
    """Return the SHA-256, in hexadecimal, of all that results are made with: settings, model package and writers.

    The settings that change results are [results], and [inference] without the keys that only decide how and where the
    model runs. The digest includes that of package.toml, which contains the digest of the weights; a missing file
    counts as empty.
    """
    inference = settings.inference.model_dump(mode="json", exclude=_WITHOUT_EFFECT)
    if not settings.inference.calibration:
        del inference["calibration"]  # so that digests from before this setting existed stay the same
    results = settings.results.model_dump(mode="json")
    package = _file_digest((settings.inference.package or _DEFAULT_PACKAGE) / "package.toml")
    made_with = {"inference": inference, "results": results, "package": package, "writers": _WRITER_VERSION}
    canonical = json.dumps(made_with, sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def section_digests(settings: Settings) -> dict[str, str]:
    """Return the SHA-256, in hexadecimal, of every section in force, without passwords and the content of files.

    Two or more rules also have a digest of their order, ORDER_OF_RULES, since the first rule that holds decides.
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
