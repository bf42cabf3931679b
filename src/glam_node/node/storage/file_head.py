"""The beginning of every stored instance: preamble and the node's own file meta information (PS3.10 section 7.1)."""

import struct

from glam_node import __version__
from glam_node.node.domain import implementation


def file_head(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Return preamble and file meta information for a data set with these UIDs."""
    uids = (sop_class_uid, sop_instance_uid, transfer_syntax_uid, implementation.CLASS_UID)
    group = b"\2\0\1\0OB\0\0\2\0\0\0\0\1"
    for element, uid in zip((0x0002, 0x0003, 0x0010, 0x0012), uids, strict=True):
        group += _meta_element(element, b"UI", uid.encode("ascii", "replace"), b"\0")
    group += _meta_element(0x0013, b"SH", implementation.version_name(__version__).encode(), b" ")
    return bytes(128) + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(group)) + group


def _meta_element(element: int, vr: bytes, value: bytes, pad: bytes) -> bytes:
    value += pad * (len(value) % 2)
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value
