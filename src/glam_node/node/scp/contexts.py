"""SOP classes and transfer syntaxes that the node accepts, in its order of preference."""

from collections.abc import Iterable

from pydicom._uid_dict import UID_dictionary

from glam_node.node.domain.commitment import PUSH_MODEL

VERIFICATION = "1.2.840.10008.1.1"
_STORAGE = "1.2.840.10008.5.1.4.1.1"
_RADIOTHERAPY = "1.2.840.10008.5.1.4.34."

# PS3.4 Table B.5-1; names from PS3.6 Annex A.
DEFAULT_STORAGE_SOP_CLASSES = (
    f"{_STORAGE}.1",  # Computed Radiography
    f"{_STORAGE}.1.1",  # Digital X-Ray, for presentation
    f"{_STORAGE}.1.1.1",  # Digital X-Ray, for processing
    f"{_STORAGE}.1.2",  # Digital Mammography, for presentation
    f"{_STORAGE}.1.2.1",  # Digital Mammography, for processing
    f"{_STORAGE}.13.1.3",  # Breast Tomosynthesis
    f"{_STORAGE}.13.1.4",  # Breast Projection, for presentation
    f"{_STORAGE}.13.1.5",  # Breast Projection, for processing
    f"{_STORAGE}.7",  # Secondary Capture
    f"{_STORAGE}.7.1",
    f"{_STORAGE}.7.2",
    f"{_STORAGE}.7.3",
    f"{_STORAGE}.7.4",
    f"{_STORAGE}.11.1",  # Presentation States
    f"{_STORAGE}.11.2",
    f"{_STORAGE}.11.3",
    f"{_STORAGE}.11.4",
    f"{_STORAGE}.11.5",
    f"{_STORAGE}.11.6",
    f"{_STORAGE}.11.7",
    f"{_STORAGE}.11.8",
    f"{_STORAGE}.11.9",
    f"{_STORAGE}.11.10",
    f"{_STORAGE}.11.11",
    f"{_STORAGE}.11.12",
    f"{_STORAGE}.66.4",  # Segmentation
    f"{_STORAGE}.66.7",  # Label Map Segmentation
    f"{_STORAGE}.88.11",  # Structured Reports
    f"{_STORAGE}.88.22",
    f"{_STORAGE}.88.33",
    f"{_STORAGE}.88.34",
    f"{_STORAGE}.88.35",
    f"{_STORAGE}.88.50",  # Mammography CAD SR
    f"{_STORAGE}.88.59",  # Key Object Selection
    f"{_STORAGE}.88.67",  # X-Ray Radiation Dose SR
)

# Compressed syntaxes first: the acceptor chooses, and a sender decompresses if Implicit VR is chosen.
TRANSFER_SYNTAXES = (
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.81",  # JPEG-LS Near-lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.4.201",  # HTJ2K Lossless
    "1.2.840.10008.1.2.4.202",  # HTJ2K Lossless RPCL
    "1.2.840.10008.1.2.4.203",  # HTJ2K
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless SV1
    "1.2.840.10008.1.2.4.57",  # JPEG Lossless
    "1.2.840.10008.1.2.4.51",  # JPEG Extended
    "1.2.840.10008.1.2.4.50",  # JPEG Baseline
    "1.2.840.10008.1.2.5",  # RLE Lossless
    "1.2.840.10008.1.2.1.99",  # Deflated Explicit VR Little Endian
    "1.2.840.10008.1.2.1",  # Explicit VR Little Endian
    "1.2.840.10008.1.2.2",  # Explicit VR Big Endian
    "1.2.840.10008.1.2",  # Implicit VR Little Endian
)
# Near-lossless, JPEG 2000, HTJ2K, JPEG Extended and Baseline
LOSSY = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (81, 91, 203, 51, 50))
UNCOMPRESSED = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")


def accepted_contexts(additional: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the transfer syntaxes, in order of preference, by abstract syntax.

    Args:
        additional: UIDs of further storage SOP classes; "all" adds every storage SOP class of PS3.6.
    """
    classes = set(DEFAULT_STORAGE_SOP_CLASSES)
    for uid in additional:
        classes.update(_every_storage_class() if uid == "all" else (uid,))
    return {VERIFICATION: UNCOMPRESSED, PUSH_MODEL: UNCOMPRESSED, **dict.fromkeys(sorted(classes), TRANSFER_SYNTAXES)}


def _every_storage_class() -> list[str]:
    """Return the UIDs of PS3.4 Annex B, without Storage Commitment and Media Storage Directory."""
    return [
        uid
        for uid, (name, kind, *_) in UID_dictionary.items()
        if kind == "SOP Class" and "Storage" in name and uid.startswith((f"{_STORAGE}.", _RADIOTHERAPY))
    ]
