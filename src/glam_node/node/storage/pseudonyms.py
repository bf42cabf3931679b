"""Pseudonyms of patients for places where patient IDs must not appear."""

import hmac
import secrets

from glam_node.node.storage.files import write_durably
from glam_node.node.storage.instances import InstanceStore

KEY = "audit.key"


def pseudonym_key(store: InstanceStore) -> bytes:
    """Return the secret key of a storage root, created by the first call.

    Without the key, a patient ID cannot be found by trying the digests of all IDs.

    Raises:
        TransientError: The storage root is not the one of the start: a new key would give all patients new pseudonyms.
        OSError: The disk failed.
    """
    store.require()
    path = store.root / KEY
    if not path.exists():
        write_durably(path, secrets.token_bytes(32))
    return path.read_bytes()


def pseudonym(key: bytes, issuer_of_patient_id: str, patient_id: str) -> str:
    """Return the keyed digest (HMAC-SHA-256, hex digits) of a patient ID; "unknown" if the ID is empty."""
    if not patient_id:
        return "unknown"
    return hmac.digest(key, f"{issuer_of_patient_id}\0{patient_id}".encode(), "sha256").hex()
