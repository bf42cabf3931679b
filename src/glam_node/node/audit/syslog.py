"""Syslog records (RFC 5424), preceded by their length (RFC 5425 4.3), as PS3.15 A.6 requires."""

from datetime import UTC, datetime

FACILITY = 10
"""The syslog facility "security/authorization messages"."""
NOTICE = 5
APP_NAME = "glam-node"
MSGID = "DICOM+RFC3881"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def frame(sequence: int, at: datetime, message: bytes, host: str) -> bytes:
    """Encode one record for the connection.

    Args:
        sequence: The sequenceId of the record (RFC 5424 7.3.1).
        at: The time of the event.
        message: The audit message (XML in UTF-8).
        host: The host name of the node; empty if unknown.
    """
    time = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    data = f'[meta sequenceId="{sequence}"]'
    header = f"<{FACILITY * 8 + NOTICE}>1 {time} {host or '-'} {APP_NAME} - {MSGID} {data} "
    record = header.encode("ascii", "replace") + BYTE_ORDER_MARK + message
    return str(len(record)).encode("ascii") + b" " + record
