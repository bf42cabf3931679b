"""A syslog record (RFC 5424) with its length in front (RFC 5425 4.3), as PS3.15 A.6 wants it."""

from datetime import UTC, datetime

FACILITY = 10
"""Security and authorization messages."""
NOTICE = 5
APP_NAME = "glam-node"
MSGID = "DICOM+RFC3881"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def frame(sequence: int, at: datetime, message: bytes, host: str) -> bytes:
    """One record as it goes over the connection; `sequence` is its sequenceId (RFC 5424 7.3.1)."""
    time = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    data = f'[meta sequenceId="{sequence}"]'
    header = f"<{FACILITY * 8 + NOTICE}>1 {time} {host or '-'} {APP_NAME} - {MSGID} {data} "
    record = header.encode("ascii", "replace") + BYTE_ORDER_MARK + message
    return str(len(record)).encode("ascii") + b" " + record
