"""Digests that stand for patients where their ids must not be seen."""

import hmac
import secrets
from pathlib import Path

from glam_node.node.storage.files import write_durably

KEY = "audit.key"


def pseudonym_key(root: Path) -> bytes:
    """The secret of this storage root, made at the first call: without it no id can be guessed from its digest."""
    path = root / KEY
    if not path.exists():
        write_durably(path, secrets.token_bytes(32))
    return path.read_bytes()


def pseudonym(key: bytes, issuer_of_patient_id: str, patient_id: str) -> str:
    """The same for the same patient, under this key; "unknown" for one without an id."""
    if not patient_id:
        return "unknown"
    return hmac.digest(key, f"{issuer_of_patient_id}\0{patient_id}".encode(), "sha256").hex()
