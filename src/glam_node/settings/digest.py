"""A short proof of which settings a result was made with."""

import hashlib
import json

from glam_node.settings.schema import Settings

_WITHOUT_EFFECT = {"device", "runtime", "threads", "lease_time", "maximum_attempts"}


def settings_digest(settings: Settings) -> str:
    """SHA-256, in hex, of what changes results: [results], and [inference] without how and where it runs."""
    inference = settings.inference.model_dump(mode="json", exclude=_WITHOUT_EFFECT)
    results = settings.results.model_dump(mode="json")
    canonical = json.dumps({"inference": inference, "results": results}, sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
